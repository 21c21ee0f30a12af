// sarama. CONTRACT.md says what it must do.
package main

import (
	"context"
	"errors"
	"time"

	"datacore.test/compat/contract"
	"github.com/IBM/sarama"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V2_1_0_0 // the first with zstd; its default is older than that in some releases
	return config
}

func produce(options contract.Options, codec string, records []contract.Record) error {
	config := config()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Compression = codecs[codec]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = 20 * time.Millisecond // so that neighbours share a batch
	producer, err := sarama.NewSyncProducer([]string{options.Bootstrap}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := make([]*sarama.ProducerMessage, 0, len(records))
	for _, record := range records {
		messages = append(messages, message(options.Topic, record))
	}
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	for _, message := range messages {
		contract.Acked(message.Partition, message.Offset)
	}
	return nil
}

func message(topic string, record contract.Record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: topic, Partition: record.Partition}
	// A nil ByteEncoder in the interface would be empty, not null.
	if record.Key != nil {
		message.Key = sarama.ByteEncoder(record.Key)
	}
	if record.Value != nil {
		message.Value = sarama.ByteEncoder(record.Value)
	}
	for _, header := range record.Headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
	}
	if record.TimestampMs != nil {
		message.Timestamp = time.UnixMilli(*record.TimestampMs)
	}
	return message
}

func consume(options contract.Options) error {
	consumer, err := sarama.NewConsumer([]string{options.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage)
	for partition := range options.Partitions {
		claim, err := consumer.ConsumePartition(options.Topic, int32(partition), sarama.OffsetOldest)
		if err != nil {
			return err
		}
		go func() {
			for message := range claim.Messages() {
				messages <- message
			}
		}()
	}
	for range options.Count {
		report(<-messages)
	}
	return nil
}

// member hands the harness's commands to whatever session is current.
type member struct {
	topic    string
	sessions chan sarama.ConsumerGroupSession
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.sessions <- session
	contract.Assigned(session.Claims()[m.topic])
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			report(message)
		case <-session.Context().Done():
			return nil
		}
	}
}

func join(options contract.Options, commands <-chan contract.Command) error {
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = contract.SessionTimeout
	config.Consumer.Group.Heartbeat.Interval = contract.HeartbeatInterval
	config.Consumer.Return.Errors = true
	group, err := sarama.NewConsumerGroup([]string{options.Bootstrap}, options.Group, config)
	if err != nil {
		return err
	}
	handler := &member{topic: options.Topic, sessions: make(chan sarama.ConsumerGroupSession)}
	failed := make(chan error, 1)
	go func() {
		for {
			err := group.Consume(context.Background(), []string{options.Topic}, handler)
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	var session sarama.ConsumerGroupSession
	for {
		select {
		case session = <-handler.sessions:
		case err := <-failed:
			return err
		case err := <-group.Errors():
			return err
		case command := <-commands:
			if command.Do == "leave" {
				return leave(group, handler, failed)
			}
			if session == nil {
				return errors.New("asked to commit before the first assignment")
			}
			for partition, offset := range command.ByPartition() {
				session.MarkOffset(options.Topic, partition, offset, "")
			}
			session.Commit()
			contract.Committed(command)
		}
	}
}

func leave(group sarama.ConsumerGroup, handler *member, failed <-chan error) error {
	closed := make(chan error, 1)
	go func() { closed <- group.Close() }()
	for {
		select {
		case <-handler.sessions: // a rebalance that had begun already
		case <-group.Errors():
		case <-failed:
		case err := <-closed:
			return err
		}
	}
}

func report(message *sarama.ConsumerMessage) {
	seen := contract.Seen{
		Partition:   message.Partition,
		Offset:      message.Offset,
		TimestampMs: message.Timestamp.UnixMilli(),
		Key:         message.Key,
		Value:       message.Value,
	}
	for _, header := range message.Headers {
		seen.Headers = append(seen.Headers, contract.Header{Name: string(header.Key), Value: header.Value})
	}
	contract.Report(seen)
}

func main() {
	contract.Run(contract.Driver{Produce: produce, Consume: consume, Join: join})
}
