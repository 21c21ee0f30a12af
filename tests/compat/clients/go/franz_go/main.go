// franz-go. CONTRACT.md says what it must do.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"datacore.test/compat/contract"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const poll = 100 * time.Millisecond

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func produce(options contract.Options, codec string, records []contract.Record) error {
	settings := []kgo.Opt{
		kgo.SeedBrokers(options.Bootstrap),
		kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20 * time.Millisecond), // so that neighbours share a batch
	}
	if !options.Idempotent {
		settings = append(settings, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(settings...)
	if err != nil {
		return err
	}
	defer client.Close()
	batch := make([]*kgo.Record, 0, len(records))
	for _, record := range records {
		produced := &kgo.Record{
			Topic:     options.Topic,
			Partition: record.Partition,
			Key:       record.Key,
			Value:     record.Value,
		}
		for _, header := range record.Headers {
			produced.Headers = append(produced.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
		}
		if record.TimestampMs != nil {
			produced.Timestamp = time.UnixMilli(*record.TimestampMs)
		}
		batch = append(batch, produced)
	}
	if err := client.ProduceSync(context.Background(), batch...).FirstErr(); err != nil {
		return err
	}
	for _, record := range batch {
		contract.Acked(record.Partition, record.Offset)
	}
	return nil
}

func flow(options contract.Options, numbers <-chan int) error {
	settings := []kgo.Opt{
		kgo.SeedBrokers(options.Bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(contract.UnacknowledgedMax),
	}
	if !options.Idempotent {
		settings = append(settings, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(settings...)
	if err != nil {
		return err
	}
	defer client.Close()
	failed := make(chan error, 1)
	for number := range numbers {
		record := &kgo.Record{
			Topic:     options.Topic,
			Partition: int32(number % options.Partitions),
			Value:     []byte(strconv.Itoa(number)),
		}
		client.Produce(context.Background(), record, func(record *kgo.Record, err error) {
			if err == nil {
				contract.AckedNumber(number, record.Partition, record.Offset)
				return
			}
			select {
			case failed <- err:
			default:
			}
		})
		select {
		case err := <-failed:
			return err
		default:
		}
	}
	if err := client.Flush(context.Background()); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func offsets(options contract.Options) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(options.Bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	ask := func(timestamp int64) (map[int32]int64, error) {
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = options.Topic
		for number := range options.Partitions {
			partition := kmsg.NewListOffsetsRequestTopicPartition()
			partition.Partition = int32(number)
			partition.Timestamp = timestamp
			topic.Partitions = append(topic.Partitions, partition)
		}
		request := kmsg.NewPtrListOffsetsRequest()
		request.ReplicaID = -1
		request.Topics = append(request.Topics, topic)
		response, err := request.RequestWith(context.Background(), client)
		if err != nil {
			return nil, err
		}
		found := make(map[int32]int64)
		for _, partition := range response.Topics[0].Partitions {
			if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
				return nil, err
			}
			found[partition.Partition] = partition.Offset
		}
		return found, nil
	}
	beginning, err := ask(-2)
	if err != nil {
		return err
	}
	end, err := ask(-1)
	if err != nil {
		return err
	}
	at, err := ask(options.AtMs)
	if err == nil {
		contract.ReportOffsets(beginning, end, at)
	}
	return err
}

func abort(options contract.Options) error {
	ctx := context.Background()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(options.Bootstrap),
		kgo.TransactionalID(options.Group),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	record := &kgo.Record{Topic: options.To, Value: []byte("aborted")}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		return err
	}
	return client.EndTransaction(ctx, kgo.TryAbort)
}

func copies(options contract.Options, copied func(int) bool) error {
	ctx := context.Background()
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(options.Bootstrap),
		kgo.TransactionalID(options.Group),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumerGroup(options.Group),
		kgo.ConsumeTopics(options.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.SessionTimeout(contract.SessionTimeout),
		kgo.HeartbeatInterval(contract.HeartbeatInterval),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	for {
		within, cancel := context.WithTimeout(ctx, poll)
		fetches := session.PollFetches(within)
		cancel()
		var records []*kgo.Record
		fetches.EachRecord(func(record *kgo.Record) {
			records = append(records, &kgo.Record{
				Topic: options.To, Partition: record.Partition, Key: record.Key, Value: record.Value,
			})
		})
		count := 0
		if len(records) > 0 {
			if err := session.Begin(); err != nil {
				return err
			}
			failure := session.ProduceSync(ctx, records...).FirstErr()
			committed, err := session.End(ctx, kgo.TransactionEndTry(failure == nil))
			if err != nil {
				return err
			}
			if committed {
				count = len(records)
			}
		}
		if !copied(count) {
			return nil
		}
	}
}

func consume(options contract.Options) error {
	partitions := make(map[int32]kgo.Offset)
	for partition := range options.Partitions {
		partitions[int32(partition)] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(options.Bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{options.Topic: partitions}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for wanted := options.Count; wanted > 0; {
		seen, err := pollOnce(client)
		if err != nil {
			return err
		}
		wanted -= seen
	}
	return nil
}

// owned follows the assignment, which the cooperative default tells in differences.
type owned struct {
	sync.Mutex
	partitions map[int32]bool
}

func (o *owned) change(partitions []int32, here bool) {
	o.Lock()
	defer o.Unlock()
	for _, partition := range partitions {
		if here {
			o.partitions[partition] = true
		} else {
			delete(o.partitions, partition)
		}
	}
	all := make([]int32, 0, len(o.partitions))
	for partition := range o.partitions {
		all = append(all, partition)
	}
	contract.Assigned(all)
}

func join(options contract.Options, commands <-chan contract.Command) error {
	mine := &owned{partitions: make(map[int32]bool)}
	change := func(here bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
			mine.change(topics[options.Topic], here)
		}
	}
	settings := []kgo.Opt{
		kgo.SeedBrokers(options.Bootstrap),
		kgo.ConsumerGroup(options.Group),
		kgo.ConsumeTopics(options.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(contract.SessionTimeout),
		kgo.HeartbeatInterval(contract.HeartbeatInterval),
		kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)),
		kgo.OnPartitionsLost(change(false)),
	}
	if options.Instance != "" {
		settings = append(settings, kgo.InstanceID(options.Instance))
	}
	client, err := kgo.NewClient(settings...)
	if err != nil {
		return err
	}
	defer client.Close() // leaves the group
	for {
		if _, err := pollOnce(client); err != nil {
			return err
		}
		select {
		case command := <-commands:
			if command.Do == "leave" {
				return nil
			}
			if err := commit(client, options.Topic, command); err != nil {
				return err
			}
		default:
		}
	}
}

func commit(client *kgo.Client, topic string, command contract.Command) error {
	chosen := make(map[int32]kgo.EpochOffset)
	for partition, offset := range command.ByPartition() {
		chosen[partition] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	var failure error
	client.CommitOffsetsSync(
		context.Background(),
		map[string]map[int32]kgo.EpochOffset{topic: chosen},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
			failure = err
			if err != nil {
				return
			}
			for _, topic := range response.Topics {
				for _, partition := range topic.Partitions {
					if err := kerr.ErrorForCode(partition.ErrorCode); err != nil {
						failure = fmt.Errorf("commit of partition %d: %w", partition.Partition, err)
					}
				}
			}
		},
	)
	if failure == nil {
		contract.Committed(command)
	}
	return failure
}

func pollOnce(client *kgo.Client) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), poll)
	defer cancel()
	fetches := client.PollFetches(ctx)
	if err := fetches.Err0(); err != nil && ctx.Err() == nil {
		// A broker that is away, say: the client tries again by itself.
		fmt.Fprintln(os.Stderr, err)
	}
	seen := 0
	fetches.EachRecord(func(record *kgo.Record) {
		report := contract.Seen{
			Partition:   record.Partition,
			Offset:      record.Offset,
			TimestampMs: record.Timestamp.UnixMilli(),
			Key:         record.Key,
			Value:       record.Value,
		}
		for _, header := range record.Headers {
			report.Headers = append(report.Headers, contract.Header{Name: header.Key, Value: header.Value})
		}
		contract.Report(report)
		seen++
	})
	return seen, nil
}

// admin speaks in requests: the client's admin is a module of its own above them.
type admin struct {
	client *kgo.Client
	topic  string
}

func newAdmin(options contract.Options) (contract.Admin, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(options.Bootstrap))
	return &admin{client, options.Topic}, err
}

func (a *admin) Create(partitions int, configs map[string]string) error {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = a.topic, int32(partitions), 1
	for name, value := range configs {
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = name, kmsg.StringPtr(value)
		topic.Configs = append(topic.Configs, config)
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(context.Background(), a.client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

func (a *admin) Describe(names []string) (contract.Described, error) {
	described := contract.Described{Configs: make(map[string]string)}
	topics, err := a.metadata(a.topic)
	if err != nil {
		return described, err
	}
	described.Partitions = len(topics[0].Partitions)
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, a.topic
	resource.ConfigNames = names
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.Resources = append(request.Resources, resource)
	response, err := request.RequestWith(context.Background(), a.client)
	if err != nil {
		return described, err
	}
	for _, config := range response.Resources[0].Configs {
		if config.Value != nil {
			described.Configs[config.Name] = *config.Value
		}
	}
	return described, kerr.ErrorForCode(response.Resources[0].ErrorCode)
}

func (a *admin) Alter(configs map[string]string) error {
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, a.topic
	for name, value := range configs {
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		config.Name, config.Value = name, kmsg.StringPtr(value)
		resource.Configs = append(resource.Configs, config)
	}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, resource)
	response, err := request.RequestWith(context.Background(), a.client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Resources[0].ErrorCode)
}

func (a *admin) Delete() error {
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(a.topic)
	request := kmsg.NewPtrDeleteTopicsRequest()
	request.Topics = append(request.Topics, topic)
	request.TopicNames = []string{a.topic} // below v6
	response, err := request.RequestWith(context.Background(), a.client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

func (a *admin) Topics() ([]string, error) {
	topics, err := a.metadata()
	var names []string
	for _, topic := range topics {
		names = append(names, *topic.Topic)
	}
	return names, err
}

func (a *admin) metadata(names ...string) ([]kmsg.MetadataResponseTopic, error) {
	request := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		request.Topics = append(request.Topics, topic)
	}
	response, err := request.RequestWith(context.Background(), a.client)
	if err != nil {
		return nil, err
	}
	return response.Topics, nil
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
