//! rskafka, all of Rust, without groups. CONTRACT.md says what it must do.

mod contract;

use std::collections::HashMap;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{Configs, Offsets, Options, Record, Result, Seen, UNACKNOWLEDGED_MAX};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record;
use rskafka::BackoffConfig;
use tokio::runtime::Runtime;

// Of one request: what it is given it sends as one batch, however large.
const REQUEST_BYTES: usize = 900_000;
const FETCH_BYTES: i32 = 4_000_000;
const FETCH_WAIT_MS: i32 = 100;
const ADMIN_TIMEOUT_MS: i32 = 10_000;

struct Driver {
    runtime: Runtime,
}

impl Driver {
    fn client(&self, options: &Options) -> Result<Client> {
        // It waits for up to minutes between two tries, unless told otherwise.
        let backoff = BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() };
        let builder = ClientBuilder::new(vec![options.bootstrap.clone()]).backoff_config(backoff);
        Ok(self.runtime.block_on(builder.build())?)
    }

    fn partitions(&self, options: &Options) -> Result<Vec<PartitionClient>> {
        let client = self.client(options)?;
        (0..options.partitions).map(|at| self.partition(&client, &options.topic, at)).collect()
    }

    fn partition(&self, client: &Client, topic: &str, partition: i32) -> Result<PartitionClient> {
        Ok(self.runtime.block_on(client.partition_client(topic, partition, UnknownTopicHandling::Retry))?)
    }
}

fn codec_of(name: &str) -> Compression {
    match name {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    }
}

fn time_of(timestamp_ms: i64) -> Result<DateTime<Utc>> {
    Ok(DateTime::from_timestamp_millis(timestamp_ms).ok_or("a time out of range")?)
}

fn record_of(record: &Record) -> Result<record::Record> {
    let headers = record.headers.iter().map(|(name, content)| (name.clone(), content.clone().unwrap_or_default()));
    Ok(record::Record {
        key: record.key.clone(),
        value: record.value.clone(),
        headers: headers.collect(),
        timestamp: record.timestamp_ms.map_or(Ok(Utc::now()), time_of)?,
    })
}

impl contract::Driver for Driver {
    fn produce(&self, options: &Options, codec: &str, records: &[Record]) -> Result {
        let client = self.client(options)?;
        let mut partitions: HashMap<i32, PartitionClient> = HashMap::new();
        for neighbours in records.chunk_by(|one, next| one.partition == next.partition) {
            let partition = neighbours[0].partition;
            if !partitions.contains_key(&partition) {
                partitions.insert(partition, self.partition(&client, &options.topic, partition)?);
            }
            let mut batches: Vec<Vec<record::Record>> = vec![Vec::new()];
            let mut size = 0;
            for record in neighbours.iter().map(record_of) {
                let record = record?;
                size += record.approximate_size();
                if size > REQUEST_BYTES {
                    size = record.approximate_size();
                    batches.push(Vec::new());
                }
                batches.last_mut().ok_or("no batch")?.push(record);
            }
            for batch in batches {
                let sending = partitions[&partition].produce(batch, codec_of(codec));
                for offset in self.runtime.block_on(sending)? {
                    contract::acked(partition, offset);
                }
            }
        }
        Ok(())
    }

    fn consume(&self, options: &Options) -> Result {
        let partitions = self.partitions(options)?;
        let mut next = vec![0; partitions.len()];
        let mut wanted = options.count;
        while wanted > 0 {
            for (at, partition) in partitions.iter().enumerate() {
                let fetching = partition.fetch_records(next[at], 1..FETCH_BYTES, FETCH_WAIT_MS);
                let (records, _) = self.runtime.block_on(fetching)?;
                for read in records.into_iter().take(wanted) {
                    next[at] = read.offset + 1;
                    wanted -= 1;
                    contract::seen(Seen {
                        partition: partition.partition(),
                        offset: read.offset,
                        timestamp_ms: read.record.timestamp.timestamp_millis(),
                        key: read.record.key.as_deref(),
                        value: read.record.value.as_deref(),
                        headers: read.record.headers.into_iter().map(|(name, content)| (name, Some(content))).collect(),
                    });
                }
            }
        }
        Ok(())
    }

    /// What one call holds is one batch: all numbers that have come, of one partition after the other.
    fn flow(&self, options: &Options, numbers: Receiver<i64>) -> Result {
        let partitions = self.partitions(options)?;
        while let Ok(first) = numbers.recv() {
            let rest = numbers.try_iter().take(UNACKNOWLEDGED_MAX - 1);
            let waiting: Vec<i64> = std::iter::once(first).chain(rest).collect();
            for partition in &partitions {
                let of_it = |number: &i64| number % i64::from(options.partitions) == i64::from(partition.partition());
                let sent: Vec<i64> = waiting.iter().copied().filter(of_it).collect();
                let record = |number: &i64| record::Record {
                    key: None,
                    value: Some(number.to_string().into_bytes()),
                    headers: Default::default(),
                    timestamp: Utc::now(),
                };
                let sending = partition.produce(sent.iter().map(record).collect(), Compression::NoCompression);
                for (number, offset) in sent.iter().zip(self.runtime.block_on(sending)?) {
                    contract::acked_number(*number, partition.partition(), offset);
                }
            }
        }
        Ok(())
    }

    fn offsets(&self, options: &Options) -> Result {
        let partitions = self.partitions(options)?;
        let ask = |at: OffsetAt| -> Result<Offsets> {
            let offset = |each: &PartitionClient| {
                Ok((each.partition(), self.runtime.block_on(each.get_offset(at))?))
            };
            partitions.iter().map(offset).collect()
        };
        let at = ask(OffsetAt::Timestamp(time_of(options.at_ms)?))?;
        contract::report_offsets(&ask(OffsetAt::Earliest)?, &ask(OffsetAt::Latest)?, &at);
        Ok(())
    }

    fn admin(&self, options: &Options) -> Result<Box<dyn contract::Admin>> {
        let runtime = Runtime::new()?;
        Ok(Box::new(Admin { client: self.client(options)?, topic: options.topic.clone(), runtime }))
    }
}

struct Admin {
    client: Client,
    topic: String,
    runtime: Runtime,
}

impl contract::Admin for Admin {
    fn create(&self, partitions: i32, _configs: &Configs) -> Result {
        let controller = self.client.controller_client()?;
        Ok(self.runtime.block_on(controller.create_topic(&self.topic, partitions, 1, ADMIN_TIMEOUT_MS))?)
    }

    fn describe(&self, _names: &[String]) -> Result<(usize, Configs)> {
        let topics = self.runtime.block_on(self.client.list_topics())?;
        let topic = topics.iter().find(|each| each.name == self.topic).ok_or("there is no such topic")?;
        Ok((topic.partitions.len(), Configs::new()))
    }

    fn alter(&self, _configs: &Configs) -> Result {
        Err("this client has no configs".into())
    }

    fn delete(&self) -> Result {
        let controller = self.client.controller_client()?;
        Ok(self.runtime.block_on(controller.delete_topic(&self.topic, ADMIN_TIMEOUT_MS))?)
    }

    fn topics(&self) -> Result<Vec<String>> {
        let topics = self.runtime.block_on(self.client.list_topics())?;
        Ok(topics.into_iter().map(|each| each.name).collect())
    }
}

fn main() -> Result {
    contract::run(&Driver { runtime: Runtime::new()? })
}
