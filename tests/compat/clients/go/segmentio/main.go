// segmentio/kafka-go. CONTRACT.md says what it must do.
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
	"github.com/segmentio/kafka-go"
)

var codecs = map[string]kafka.Compression{
	"none":   0,
	"gzip":   kafka.Gzip,
	"snappy": kafka.Snappy,
	"lz4":    kafka.Lz4,
	"zstd":   kafka.Zstd,
}

// numbered is what a message carries for the driver: which it is, and where it goes.
type numbered struct {
	index     int
	partition int32
}

// chosen sends a message to the partition that the harness chose.
var chosen = kafka.BalancerFunc(func(message kafka.Message, _ ...int) int {
	return int(message.WriterData.(numbered).partition)
})

func writer(options contract.Options) *kafka.Writer {
	return &kafka.Writer{
		Addr:         kafka.TCP(options.Bootstrap),
		Topic:        options.Topic,
		Balancer:     chosen,
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 20 * time.Millisecond, // so that neighbours share a batch
	}
}

func produce(options contract.Options, codec string, records []contract.Record) error {
	offsets := make([]int64, len(records))
	writer := writer(options)
	writer.Compression = codecs[codec]
	writer.Completion = func(messages []kafka.Message, err error) {
		for _, message := range messages {
			offsets[message.WriterData.(numbered).index] = message.Offset
		}
	}
	messages := make([]kafka.Message, 0, len(records))
	for index, record := range records {
		message := kafka.Message{
			Key:        record.Key,
			Value:      record.Value,
			WriterData: numbered{index, record.Partition},
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: header.Name, Value: header.Value})
		}
		if record.TimestampMs != nil {
			message.Time = time.UnixMilli(*record.TimestampMs)
		}
		messages = append(messages, message)
	}
	if err := writer.WriteMessages(context.Background(), messages...); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	for index, record := range records {
		contract.Acked(record.Partition, offsets[index])
	}
	return nil
}

// flow has a hundred writers of one message each: the client's own call waits for what it sends.
func flow(options contract.Options, numbers <-chan int) error {
	writer := writer(options)
	writer.BatchTimeout = time.Millisecond
	writer.Completion = func(messages []kafka.Message, err error) {
		if err != nil {
			return
		}
		for _, message := range messages {
			contract.AckedNumber(message.WriterData.(numbered).index, int32(message.Partition), message.Offset)
		}
	}
	var waiting sync.WaitGroup
	for range contract.UnacknowledgedMax {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			for number := range numbers {
				message := kafka.Message{
					Value:      []byte(strconv.Itoa(number)),
					WriterData: numbered{number, int32(number % options.Partitions)},
				}
				for writer.WriteMessages(context.Background(), message) != nil {
					time.Sleep(contract.HeartbeatInterval)
				}
			}
		}()
	}
	waiting.Wait()
	return writer.Close()
}

func consume(options contract.Options) error {
	messages := make(chan kafka.Message)
	failed := make(chan error, options.Partitions)
	for partition := range options.Partitions {
		reader := read(options, partition)
		defer reader.Close()
		go forward(context.Background(), reader, messages, failed)
	}
	for range options.Count {
		select {
		case message := <-messages:
			report(message)
		case err := <-failed:
			return err
		}
	}
	return nil
}

func read(options contract.Options, partition int) *kafka.Reader {
	return kafka.NewReader(kafka.ReaderConfig{
		Brokers:        []string{options.Bootstrap},
		Topic:          options.Topic,
		Partition:      partition,
		MaxWait:        300 * time.Millisecond,
		IsolationLevel: kafka.ReadCommitted,
	})
}

func forward(ctx context.Context, reader *kafka.Reader, into chan<- kafka.Message, failed chan<- error) {
	for {
		message, err := reader.ReadMessage(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failed <- err
			return
		}
		select {
		case into <- message:
		case <-ctx.Done():
			return
		}
	}
}

func join(options contract.Options, commands <-chan contract.Command) error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                options.Group,
		Brokers:           []string{options.Bootstrap},
		Topics:            []string{options.Topic},
		StartOffset:       kafka.FirstOffset,
		SessionTimeout:    contract.SessionTimeout,
		HeartbeatInterval: contract.HeartbeatInterval,
	})
	if err != nil {
		return err
	}
	generations := make(chan *kafka.Generation)
	go func() {
		for {
			generation, err := group.Next(context.Background())
			if errors.Is(err, kafka.ErrGroupClosed) {
				return
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err) // it tries again by itself
				continue
			}
			generations <- generation
		}
	}()
	messages := make(chan kafka.Message)
	var current *kafka.Generation
	for {
		select {
		case current = <-generations:
			follow(options, current, messages)
		case message := <-messages:
			report(message)
		case command := <-commands:
			if command.Do == "leave" {
				return group.Close()
			}
			if current == nil {
				return errors.New("asked to commit before the first assignment")
			}
			offsets := make(map[int]int64)
			for partition, offset := range command.ByPartition() {
				offsets[int(partition)] = offset
			}
			if err := current.CommitOffsets(map[string]map[int]int64{options.Topic: offsets}); err != nil {
				return err
			}
			contract.Committed(command)
		}
	}
}

// follow reads what the generation assigns, as long as it lasts.
func follow(options contract.Options, generation *kafka.Generation, messages chan<- kafka.Message) {
	var owned []int32
	for _, assigned := range generation.Assignments[options.Topic] {
		owned = append(owned, int32(assigned.ID))
		generation.Start(func(ctx context.Context) {
			reader := read(options, assigned.ID)
			defer reader.Close()
			if err := reader.SetOffset(assigned.Offset); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return
			}
			failed := make(chan error, 1)
			for {
				forward(ctx, reader, messages, failed)
				if ctx.Err() != nil {
					return
				}
				fmt.Fprintln(os.Stderr, <-failed)
			}
		})
	}
	contract.Assigned(owned)
}

func report(message kafka.Message) {
	seen := contract.Seen{
		Partition:   int32(message.Partition),
		Offset:      message.Offset,
		TimestampMs: message.Time.UnixMilli(),
		Key:         message.Key,
		Value:       message.Value,
	}
	for _, header := range message.Headers {
		seen.Headers = append(seen.Headers, contract.Header{Name: header.Key, Value: header.Value})
	}
	contract.Report(seen)
}

func offsets(options contract.Options) error {
	client := &kafka.Client{Addr: kafka.TCP(options.Bootstrap)}
	var wanted, times []kafka.OffsetRequest
	for partition := range options.Partitions {
		wanted = append(wanted, kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition))
		times = append(times, kafka.TimeOffsetOf(partition, time.UnixMilli(options.AtMs)))
	}
	ask := func(requests []kafka.OffsetRequest) ([]kafka.PartitionOffsets, error) {
		answer, err := client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{
			Topics: map[string][]kafka.OffsetRequest{options.Topic: requests},
		})
		if err != nil {
			return nil, err
		}
		return answer.Topics[options.Topic], nil
	}
	limits, err := ask(wanted)
	if err != nil {
		return err
	}
	found, err := ask(times)
	if err != nil {
		return err
	}
	beginning, end, at := make(map[int32]int64), make(map[int32]int64), make(map[int32]int64)
	for _, partition := range limits {
		beginning[int32(partition.Partition)] = partition.FirstOffset
		end[int32(partition.Partition)] = partition.LastOffset
	}
	for _, partition := range found {
		at[int32(partition.Partition)] = -1
		for offset := range partition.Offsets {
			at[int32(partition.Partition)] = offset
		}
	}
	contract.ReportOffsets(beginning, end, at)
	return nil
}

type admin struct {
	client *kafka.Client
	topic  string
}

func newAdmin(options contract.Options) (contract.Admin, error) {
	return &admin{&kafka.Client{Addr: kafka.TCP(options.Bootstrap)}, options.Topic}, nil
}

func (a *admin) Create(partitions int, configs map[string]string) error {
	topic := kafka.TopicConfig{Topic: a.topic, NumPartitions: partitions, ReplicationFactor: 1}
	for name, value := range configs {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	answer, err := a.client.CreateTopics(
		context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}},
	)
	if err != nil {
		return err
	}
	return answer.Errors[a.topic]
}

func (a *admin) Describe(names []string) (contract.Described, error) {
	described := contract.Described{Configs: make(map[string]string)}
	metadata, err := a.client.Metadata(context.Background(), &kafka.MetadataRequest{Topics: []string{a.topic}})
	if err != nil {
		return described, err
	}
	described.Partitions = len(metadata.Topics[0].Partitions)
	resource := kafka.DescribeConfigRequestResource{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: a.topic, ConfigNames: names,
	}
	answer, err := a.client.DescribeConfigs(context.Background(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{resource},
	})
	if err != nil {
		return described, err
	}
	for _, entry := range answer.Resources[0].ConfigEntries {
		described.Configs[entry.ConfigName] = entry.ConfigValue
	}
	return described, answer.Resources[0].Error
}

func (a *admin) Alter(configs map[string]string) error {
	resource := kafka.AlterConfigRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: a.topic}
	for name, value := range configs {
		resource.Configs = append(resource.Configs, kafka.AlterConfigRequestConfig{Name: name, Value: value})
	}
	answer, err := a.client.AlterConfigs(context.Background(), &kafka.AlterConfigsRequest{
		Resources: []kafka.AlterConfigRequestResource{resource},
	})
	if err != nil {
		return err
	}
	for _, failure := range answer.Errors {
		err = errors.Join(err, failure)
	}
	return err
}

func (a *admin) Delete() error {
	answer, err := a.client.DeleteTopics(
		context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{a.topic}},
	)
	if err != nil {
		return err
	}
	return answer.Errors[a.topic]
}

func (a *admin) Topics() ([]string, error) {
	metadata, err := a.client.Metadata(context.Background(), &kafka.MetadataRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, topic := range metadata.Topics {
		names = append(names, topic.Name)
	}
	return names, nil
}

func main() {
	contract.Run(contract.Driver{
		Produce: produce,
		Consume: consume,
		Join:    join,
		Flow:    flow,
		Offsets: offsets,
		Admin:   newAdmin,
	})
}
