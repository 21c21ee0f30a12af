// sarama. CONTRACT.md says what it must do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
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
	config.Version = sarama.V2_3_0_0 // zstd and static members; its default is older than that in some releases
	return config
}

func produce(options contract.Options, codec string, records []contract.Record) error {
	config := config()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Compression = codecs[codec]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	if options.Idempotent {
		idempotent(config)
	}
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

func idempotent(config *sarama.Config) {
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1 // it insists
}

func flow(options contract.Options, numbers <-chan int) error {
	config := config()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	// Its defaults, three times in 300 ms, are over before a broker is back.
	config.Producer.Retry.Max = 10_000
	config.Metadata.Retry.Max = 10_000
	if options.Idempotent {
		idempotent(config)
	}
	producer, err := sarama.NewAsyncProducer([]string{options.Bootstrap}, config)
	if err != nil {
		return err
	}
	var waiting sync.WaitGroup
	room := make(chan struct{}, contract.UnacknowledgedMax)
	failed := make(chan error, 1)
	send := func(number int) {
		producer.Input() <- &sarama.ProducerMessage{
			Topic:     options.Topic,
			Partition: int32(number % options.Partitions),
			Value:     sarama.StringEncoder(strconv.Itoa(number)),
			Metadata:  number,
		}
	}
	go func() {
		for message := range producer.Successes() {
			contract.AckedNumber(message.Metadata.(int), message.Partition, message.Offset)
			<-room
			waiting.Done()
		}
	}()
	go func() {
		for failure := range producer.Errors() {
			if options.Idempotent {
				select {
				case failed <- failure:
				default:
				}
				continue
			}
			send(failure.Msg.Metadata.(int))
		}
	}()
	for {
		select {
		case err := <-failed:
			return err
		case room <- struct{}{}:
		}
		number, open := <-numbers
		if !open {
			break
		}
		waiting.Add(1)
		send(number)
	}
	waiting.Wait()
	return nil
}

func offsets(options contract.Options) error {
	client, err := sarama.NewClient([]string{options.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer client.Close()
	ask := func(time int64) map[int32]int64 {
		found := make(map[int32]int64)
		for partition := range options.Partitions {
			offset, failure := client.GetOffset(options.Topic, int32(partition), time)
			found[int32(partition)] = offset
			err = errors.Join(err, failure)
		}
		return found
	}
	beginning, end, at := ask(sarama.OffsetOldest), ask(sarama.OffsetNewest), ask(options.AtMs)
	if err == nil {
		contract.ReportOffsets(beginning, end, at)
	}
	return err
}

func transactional(options contract.Options) (sarama.AsyncProducer, error) {
	config := config()
	idempotent(config)
	config.Producer.Transaction.ID = options.Group
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	return sarama.NewAsyncProducer([]string{options.Bootstrap}, config)
}

// sendAll sends the messages and waits for all of them.
func sendAll(producer sarama.AsyncProducer, messages []*sarama.ProducerMessage) error {
	go func() {
		for _, message := range messages {
			producer.Input() <- message
		}
	}()
	var failed error
	for range messages {
		select {
		case <-producer.Successes():
		case failure := <-producer.Errors():
			failed = failure
		}
	}
	return failed
}

func abort(options contract.Options) error {
	producer, err := transactional(options)
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	aborted := &sarama.ProducerMessage{Topic: options.To, Value: sarama.StringEncoder("aborted")}
	if err := sendAll(producer, []*sarama.ProducerMessage{aborted}); err != nil {
		return err
	}
	return producer.AbortTxn()
}

// copier takes its claims' records into one channel, so that a transaction copies what is there.
type copier struct {
	messages chan *sarama.ConsumerMessage
}

func (c *copier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c *copier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *copier) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			select {
			case c.messages <- message:
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func copies(options contract.Options, copied func(int) bool) error {
	producer, err := transactional(options)
	if err != nil {
		return err
	}
	defer producer.AsyncClose()
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	config.Consumer.Group.Session.Timeout = contract.SessionTimeout
	config.Consumer.Group.Heartbeat.Interval = contract.HeartbeatInterval
	group, err := sarama.NewConsumerGroup([]string{options.Bootstrap}, options.Group, config)
	if err != nil {
		return err
	}
	defer group.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	handler := &copier{messages: make(chan *sarama.ConsumerMessage)}
	ended := make(chan error, 1)
	// One session: where the group rebalances, records on their way would be copied twice.
	go func() {
		err := group.Consume(ctx, []string{options.Topic}, handler)
		ended <- errors.Join(err, errors.New("the group's session has ended"))
	}()
	for {
		batch, err := collect(handler.messages, ended)
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := copyBatch(producer, options, batch); err != nil {
				return err
			}
		}
		if !copied(len(batch)) {
			return nil
		}
	}
}

// collect takes what comes in a tenth of a second.
func collect(messages <-chan *sarama.ConsumerMessage, ended <-chan error) ([]*sarama.ConsumerMessage, error) {
	var batch []*sarama.ConsumerMessage
	until := time.After(100 * time.Millisecond)
	for len(batch) < 500 {
		select {
		case message := <-messages:
			batch = append(batch, message)
		case err := <-ended:
			return nil, err
		case <-until:
			return batch, nil
		}
	}
	return batch, nil
}

func copyBatch(producer sarama.AsyncProducer, options contract.Options, batch []*sarama.ConsumerMessage) error {
	if err := producer.BeginTxn(); err != nil {
		return err
	}
	messages := make([]*sarama.ProducerMessage, 0, len(batch))
	next := make(map[int32]int64)
	for _, read := range batch {
		record := contract.Record{Partition: read.Partition, Key: read.Key, Value: read.Value}
		messages = append(messages, message(options.To, record))
		next[read.Partition] = read.Offset + 1
	}
	if err := sendAll(producer, messages); err != nil {
		return err
	}
	var offsets []*sarama.PartitionOffsetMetadata
	for partition, offset := range next {
		offsets = append(offsets, &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset})
	}
	told := map[string][]*sarama.PartitionOffsetMetadata{options.Topic: offsets}
	if err := producer.AddOffsetsToTxn(told, options.Group); err != nil {
		return err
	}
	return producer.CommitTxn()
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
	config := config()
	config.Consumer.IsolationLevel = sarama.ReadCommitted
	consumer, err := sarama.NewConsumer([]string{options.Bootstrap}, config)
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
	config.Consumer.Group.InstanceId = options.Instance
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
			if errors.Is(err, sarama.ErrClosedConsumerGroup) {
				failed <- err
				return
			}
			if err != nil {
				// Its documentation has the application try again, as long as it wants.
				fmt.Fprintln(os.Stderr, err)
				time.Sleep(contract.HeartbeatInterval)
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
			// It goes on by itself, also when the broker was away.
			fmt.Fprintln(os.Stderr, err)
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

type admin struct {
	admin sarama.ClusterAdmin
	topic string
}

func newAdmin(options contract.Options) (contract.Admin, error) {
	client, err := sarama.NewClusterAdmin([]string{options.Bootstrap}, config())
	return &admin{client, options.Topic}, err
}

func (a *admin) Create(partitions int, configs map[string]string) error {
	entries := make(map[string]*string)
	for name, value := range configs {
		entries[name] = &value
	}
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1, ConfigEntries: entries}
	return a.admin.CreateTopic(a.topic, detail, false)
}

func (a *admin) Describe(names []string) (contract.Described, error) {
	described := contract.Described{Configs: make(map[string]string)}
	topics, err := a.admin.DescribeTopics([]string{a.topic})
	if err != nil {
		return described, err
	}
	described.Partitions = len(topics[0].Partitions)
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: a.topic, ConfigNames: names}
	entries, err := a.admin.DescribeConfig(resource)
	for _, entry := range entries {
		described.Configs[entry.Name] = entry.Value
	}
	return described, err
}

func (a *admin) Alter(configs map[string]string) error {
	entries := make(map[string]*string)
	for name, value := range configs {
		entries[name] = &value
	}
	return a.admin.AlterConfig(sarama.TopicResource, a.topic, entries, false)
}

func (a *admin) Delete() error { return a.admin.DeleteTopic(a.topic) }

func (a *admin) Topics() ([]string, error) {
	topics, err := a.admin.ListTopics()
	var names []string
	for name := range topics {
		names = append(names, name)
	}
	return names, err
}

func main() {
	contract.Run(contract.Driver{
		Produce: produce,
		Consume: consume,
		Join:    join,
		Flow:    flow,
		Abort:   abort,
		Copies:  copies,
		Offsets: offsets,
		Admin:   newAdmin,
	})
}
