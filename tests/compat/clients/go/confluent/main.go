// confluent-kafka-go, and librdkafka below it. CONTRACT.md says what it must do.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"datacore.test/compat/contract"
	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	poll        = 100 * time.Millisecond
	pollRecords = 500
	// A broker that dies while offsets are sent leaves librdkafka waiting for as long as it may, against Apache Kafka
	// too: an application that begins anew after a while goes on.
	transactionTime = 10 * time.Second
)

func produce(options contract.Options, codec string, records []contract.Record) error {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers":  options.Bootstrap,
		"compression.type":   codec,
		"linger.ms":          20, // so that neighbours share a batch
		"enable.idempotence": options.Idempotent,
	})
	if err != nil {
		return err
	}
	defer producer.Close()
	delivered := make(chan kafka.Event, len(records))
	for index, record := range records {
		message := message(options.Topic, record)
		message.Opaque = index
		if err := producer.Produce(message, delivered); err != nil {
			return err
		}
	}
	offsets := make([]kafka.TopicPartition, len(records))
	for range records {
		message := (<-delivered).(*kafka.Message)
		if message.TopicPartition.Error != nil {
			return message.TopicPartition.Error
		}
		offsets[message.Opaque.(int)] = message.TopicPartition
	}
	for _, place := range offsets {
		contract.Acked(place.Partition, int64(place.Offset))
	}
	return nil
}

func message(topic string, record contract.Record) *kafka.Message {
	message := &kafka.Message{
		TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: record.Partition},
		Key:            record.Key,
		Value:          record.Value,
	}
	for _, header := range record.Headers {
		message.Headers = append(message.Headers, kafka.Header{Key: header.Name, Value: header.Value})
	}
	if record.TimestampMs != nil {
		message.Timestamp = time.UnixMilli(*record.TimestampMs)
	}
	return message
}

func flow(options contract.Options, numbers <-chan int) error {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers":  options.Bootstrap,
		"enable.idempotence": options.Idempotent,
		"acks":               "all",
	})
	if err != nil {
		return err
	}
	defer producer.Close()
	delivered := make(chan kafka.Event, contract.UnacknowledgedMax)
	send := func(number int) error {
		place := kafka.TopicPartition{Topic: &options.Topic, Partition: int32(number % options.Partitions)}
		value := []byte(strconv.Itoa(number))
		return producer.Produce(&kafka.Message{TopicPartition: place, Value: value, Opaque: number}, delivered)
	}
	waiting := 0
	take := func(event kafka.Event) error {
		message := event.(*kafka.Message)
		number, place := message.Opaque.(int), message.TopicPartition
		if place.Error == nil {
			waiting--
			contract.AckedNumber(number, place.Partition, int64(place.Offset))
			return nil
		}
		if options.Idempotent {
			return place.Error
		}
		return send(number)
	}
	for numbers != nil || waiting > 0 {
		more := numbers
		if waiting >= contract.UnacknowledgedMax {
			more = nil // a channel that has nothing
		}
		select {
		case number, open := <-more:
			if !open {
				numbers = nil
				continue
			}
			waiting++
			err = send(number)
		case event := <-delivered:
			err = take(event)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func consume(options contract.Options) error {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers":  options.Bootstrap,
		"group.id":           "unused", // it insists on one, also without a group
		"enable.auto.commit": false,
	})
	if err != nil {
		return err
	}
	var places []kafka.TopicPartition
	for partition := range options.Partitions {
		places = append(places, kafka.TopicPartition{Topic: &options.Topic, Partition: int32(partition)})
	}
	if err := consumer.Assign(places); err != nil {
		return err
	}
	for wanted := options.Count; wanted > 0; wanted-- {
		message, err := consumer.ReadMessage(-1)
		if err != nil {
			return err
		}
		report(message)
	}
	return consumer.Close()
}

func report(message *kafka.Message) {
	seen := contract.Seen{
		Partition:   message.TopicPartition.Partition,
		Offset:      int64(message.TopicPartition.Offset),
		TimestampMs: message.Timestamp.UnixMilli(),
		Key:         message.Key,
		Value:       message.Value,
	}
	for _, header := range message.Headers {
		seen.Headers = append(seen.Headers, contract.Header{Name: header.Key, Value: header.Value})
	}
	contract.Report(seen)
}

func member(options contract.Options) (*kafka.Consumer, error) {
	config := kafka.ConfigMap{
		"bootstrap.servers":     options.Bootstrap,
		"group.id":              options.Group,
		"isolation.level":       "read_committed",
		"enable.auto.commit":    false,
		"auto.offset.reset":     "earliest",
		"session.timeout.ms":    int(contract.SessionTimeout.Milliseconds()),
		"heartbeat.interval.ms": int(contract.HeartbeatInterval.Milliseconds()),
	}
	if options.Instance != "" {
		config["group.instance.id"] = options.Instance
	}
	consumer, err := kafka.NewConsumer(&config)
	if err != nil {
		return nil, err
	}
	return consumer, consumer.SubscribeTopics([]string{options.Topic}, nil)
}

func join(options contract.Options, commands <-chan contract.Command) error {
	consumer, err := member(options)
	if err != nil {
		return err
	}
	told := false
	var owned []int32
	for {
		messages, err := collect(consumer)
		if err != nil {
			return err
		}
		for _, message := range messages {
			report(message)
		}
		now, err := assignment(consumer)
		if err != nil {
			return err
		}
		if fmt.Sprint(now) != fmt.Sprint(owned) && (told || len(now) > 0) {
			told, owned = true, now
			contract.Assigned(now)
		}
		select {
		case command := <-commands:
			if command.Do == "leave" {
				return consumer.Close()
			}
			if err := commit(consumer, options.Topic, command); err != nil {
				return err
			}
		default:
		}
	}
}

// assignment is what it owns now, sorted.
func assignment(consumer *kafka.Consumer) ([]int32, error) {
	places, err := consumer.Assignment()
	owned := []int32{}
	for _, place := range places {
		owned = append(owned, place.Partition)
	}
	sort.Slice(owned, func(i, j int) bool { return owned[i] < owned[j] })
	return owned, err
}

func commit(consumer *kafka.Consumer, topic string, command contract.Command) error {
	var offsets []kafka.TopicPartition
	for partition, offset := range command.ByPartition() {
		place := kafka.TopicPartition{Topic: &topic, Partition: partition, Offset: kafka.Offset(offset)}
		offsets = append(offsets, place)
	}
	done, err := consumer.CommitOffsets(offsets)
	for _, place := range done {
		err = errors.Join(err, place.Error)
	}
	if err == nil {
		contract.Committed(command)
	}
	return err
}

// collect takes what comes in a tenth of a second.
func collect(consumer *kafka.Consumer) ([]*kafka.Message, error) {
	var messages []*kafka.Message
	until := time.Now().Add(poll)
	for len(messages) < pollRecords && time.Now().Before(until) {
		switch event := consumer.Poll(int(time.Until(until).Milliseconds())).(type) {
		case *kafka.Message:
			if event.TopicPartition.Error != nil {
				return nil, event.TopicPartition.Error
			}
			messages = append(messages, event)
		case kafka.Error:
			// Its documentation has the application go on, unless it is fatal.
			if event.IsFatal() {
				return nil, event
			}
		}
	}
	return messages, nil
}

func transactional(options contract.Options) (*kafka.Producer, error) {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers":      options.Bootstrap,
		"transactional.id":       options.Group,
		"go.delivery.reports":    false, // a commit tells of what failed
		"go.logs.channel.enable": false,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), options.Deadline)
	defer cancel()
	return producer, producer.InitTransactions(ctx)
}

func abort(options contract.Options) error {
	producer, err := transactional(options)
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.BeginTransaction(); err != nil {
		return err
	}
	if err := producer.Produce(message(options.To, contract.Record{Value: []byte("aborted")}), nil); err != nil {
		return err
	}
	producer.Flush(int(options.Deadline.Milliseconds()))
	return producer.AbortTransaction(context.Background())
}

func copies(options contract.Options, copied func(int) bool) error {
	producer, err := transactional(options)
	if err != nil {
		return err
	}
	defer producer.Close()
	consumer, err := member(options)
	if err != nil {
		return err
	}
	defer consumer.Close()
	for {
		messages, err := collect(consumer)
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			if err := copyBatch(options, producer, consumer, messages); err != nil {
				return err
			}
		}
		if !copied(len(messages)) {
			return nil
		}
	}
}

func copyBatch(
	options contract.Options, producer *kafka.Producer, consumer *kafka.Consumer, messages []*kafka.Message,
) error {
	if err := producer.BeginTransaction(); err != nil {
		return err
	}
	next := make(map[int32]kafka.TopicPartition)
	for _, read := range messages {
		place := read.TopicPartition
		record := contract.Record{Partition: place.Partition, Key: read.Key, Value: read.Value}
		if err := producer.Produce(message(options.To, record), nil); err != nil {
			return err
		}
		next[place.Partition] = kafka.TopicPartition{
			Topic: place.Topic, Partition: place.Partition, Offset: place.Offset + 1,
		}
	}
	var offsets []kafka.TopicPartition
	for _, place := range next {
		offsets = append(offsets, place)
	}
	group, err := consumer.GetConsumerGroupMetadata()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), transactionTime)
	defer cancel()
	if err := producer.SendOffsetsToTransaction(ctx, offsets, group); err != nil {
		return err
	}
	return producer.CommitTransaction(ctx)
}

func offsets(options contract.Options) error {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": options.Bootstrap, "group.id": "unused",
	})
	if err != nil {
		return err
	}
	timeout := int(options.Deadline.Milliseconds())
	beginning, end, at := make(map[int32]int64), make(map[int32]int64), make(map[int32]int64)
	var times []kafka.TopicPartition
	for partition := range int32(options.Partitions) {
		low, high, err := consumer.QueryWatermarkOffsets(options.Topic, partition, timeout)
		if err != nil {
			return err
		}
		beginning[partition], end[partition] = low, high
		asked := kafka.TopicPartition{
			Topic: &options.Topic, Partition: partition, Offset: kafka.Offset(options.AtMs),
		}
		times = append(times, asked)
	}
	found, err := consumer.OffsetsForTimes(times, timeout)
	if err != nil {
		return err
	}
	for _, place := range found {
		at[place.Partition] = int64(place.Offset) // where there is none it says "the end" (-1)
	}
	contract.ReportOffsets(beginning, end, at)
	return consumer.Close()
}

type admin struct {
	client  *kafka.AdminClient
	options contract.Options
}

func newAdmin(options contract.Options) (contract.Admin, error) {
	client, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": options.Bootstrap})
	return &admin{client, options}, err
}

func (a *admin) Create(partitions int, configs map[string]string) error {
	topic := kafka.TopicSpecification{
		Topic: a.options.Topic, NumPartitions: partitions, ReplicationFactor: 1, Config: configs,
	}
	results, err := a.client.CreateTopics(context.Background(), []kafka.TopicSpecification{topic})
	return topicError(results, err)
}

func (a *admin) Describe(names []string) (contract.Described, error) {
	described := contract.Described{Configs: make(map[string]string)}
	metadata, err := a.client.GetMetadata(&a.options.Topic, false, int(a.options.Deadline.Milliseconds()))
	if err != nil {
		return described, err
	}
	described.Partitions = len(metadata.Topics[a.options.Topic].Partitions)
	results, err := a.client.DescribeConfigs(context.Background(), []kafka.ConfigResource{a.resource(nil)})
	if err != nil {
		return described, err
	}
	for _, name := range names {
		described.Configs[name] = results[0].Config[name].Value
	}
	return described, nil
}

func (a *admin) Alter(configs map[string]string) error {
	entries := kafka.StringMapToConfigEntries(configs, kafka.AlterOperationSet)
	results, err := a.client.AlterConfigs(context.Background(), []kafka.ConfigResource{a.resource(entries)})
	if err == nil && results[0].Error.Code() != kafka.ErrNoError {
		err = results[0].Error
	}
	return err
}

func (a *admin) Delete() error {
	results, err := a.client.DeleteTopics(context.Background(), []string{a.options.Topic})
	return topicError(results, err)
}

func (a *admin) Topics() ([]string, error) {
	metadata, err := a.client.GetMetadata(nil, true, int(a.options.Deadline.Milliseconds()))
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range metadata.Topics {
		names = append(names, name)
	}
	return names, nil
}

func (a *admin) resource(entries []kafka.ConfigEntry) kafka.ConfigResource {
	return kafka.ConfigResource{Type: kafka.ResourceTopic, Name: a.options.Topic, Config: entries}
}

func topicError(results []kafka.TopicResult, err error) error {
	if err == nil && results[0].Error.Code() != kafka.ErrNoError {
		err = results[0].Error
	}
	return err
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
