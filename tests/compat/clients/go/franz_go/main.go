// franz-go. CONTRACT.md says what it must do.
package main

import (
	"context"
	"fmt"
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
	client, err := kgo.NewClient(
		kgo.SeedBrokers(options.Bootstrap),
		kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20*time.Millisecond), // so that neighbours share a batch
	)
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

func consume(options contract.Options) error {
	partitions := make(map[int32]kgo.Offset)
	for partition := range options.Partitions {
		partitions[int32(partition)] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(options.Bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{options.Topic: partitions}),
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
	client, err := kgo.NewClient(
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
	)
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
		return 0, err
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

func main() {
	contract.Run(contract.Driver{Produce: produce, Consume: consume, Join: join})
}
