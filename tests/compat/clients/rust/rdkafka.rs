//! rdkafka, and librdkafka below it. CONTRACT.md says what it must do.

mod contract;

use std::collections::BTreeMap;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use contract::{Command, Configs, Offsets, Options, Record, Result, Seen, UNACKNOWLEDGED_MAX};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

const POLL: Duration = Duration::from_millis(100);
const POLL_RECORDS: usize = 500;
// A broker that dies while offsets are sent leaves librdkafka waiting for as long as it may, against Apache Kafka too:
// an application that begins anew after a while goes on.
const TRANSACTION_TIME: Duration = Duration::from_secs(10);
const MEMBER: [(&str, &str); 5] = [
    ("isolation.level", "read_committed"),
    ("enable.auto.commit", "false"),
    ("auto.offset.reset", "earliest"),
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "300"),
];

/// What became of a record: its number, its partition, and its offset or why it has none.
type Delivered = (i64, i32, std::result::Result<i64, KafkaError>);

/// Passes on what became of each record.
struct Reports(Mutex<Sender<Delivered>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<i64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<i64>) {
        let (partition, outcome) = match result {
            Ok(message) => (message.partition(), Ok(message.offset())),
            Err((error, message)) => (message.partition(), Err(error.clone())),
        };
        if let Ok(into) = self.0.lock() {
            let _ = into.send((*number, partition, outcome)); // nobody may wait for them any more
        }
    }
}

fn config(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.bootstrap);
    config
}

fn reporting(config: &ClientConfig) -> Result<(ThreadedProducer<Reports>, Receiver<Delivered>)> {
    let (into, delivered) = channel();
    Ok((config.create_with_context(Reports(Mutex::new(into)))?, delivered))
}

fn place(topic: &str, partition: i32, offset: i64, into: &mut TopicPartitionList) -> Result {
    Ok(into.add_partition_offset(topic, partition, Offset::Offset(offset))?)
}

fn send(
    producer: &ThreadedProducer<Reports>, record: BaseRecord<'_, [u8], [u8], Box<i64>>,
) -> Result {
    producer.send(record).map_err(|(error, _)| error.into())
}

fn report(message: &BorrowedMessage<'_>) {
    let headers = message.headers().map_or(Vec::new(), |headers| {
        headers.iter().map(|each| (each.key.to_string(), each.value.map(<[u8]>::to_vec))).collect()
    });
    contract::seen(Seen {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key(),
        value: message.payload(),
        headers,
    });
}

/// Takes what comes in a tenth of a second.
fn collect(consumer: &BaseConsumer) -> Result<Vec<BorrowedMessage<'_>>> {
    let mut messages = Vec::new();
    let until = Instant::now() + POLL;
    while messages.len() < POLL_RECORDS && Instant::now() < until {
        match consumer.poll(until.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => messages.push(message),
            // librdkafka goes on by itself, also when the broker was away.
            Some(Err(KafkaError::MessageConsumption(code))) => eprintln!("{code}"),
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    Ok(messages)
}

fn member(options: &Options) -> Result<BaseConsumer> {
    let mut config = config(options);
    config.set("group.id", &options.group);
    for (name, value) in MEMBER {
        config.set(name, value);
    }
    if !options.instance.is_empty() {
        config.set("group.instance.id", &options.instance);
    }
    let consumer: BaseConsumer = config.create()?;
    consumer.subscribe(&[&options.topic])?;
    Ok(consumer)
}

fn transactional(options: &Options) -> Result<ThreadedProducer<Reports>> {
    let (producer, _) = reporting(config(options).set("transactional.id", &options.group))?;
    producer.init_transactions(options.deadline)?;
    Ok(producer)
}

struct Driver;

impl contract::Driver for Driver {
    fn produce(&self, options: &Options, codec: &str, records: &[Record]) -> Result {
        let (producer, delivered) = reporting(
            config(options)
                .set("compression.type", codec)
                .set("linger.ms", "20") // so that neighbours share a batch
                .set("enable.idempotence", options.idempotent.to_string()),
        )?;
        for (number, record) in records.iter().enumerate() {
            let mut headers = OwnedHeaders::new();
            for (name, content) in &record.headers {
                headers = headers.insert(Header { key: name, value: content.as_ref() });
            }
            let mut sent = BaseRecord::with_opaque_to(&options.topic, Box::new(number as i64))
                .partition(record.partition)
                .headers(headers);
            sent.key = record.key.as_deref();
            sent.payload = record.value.as_deref();
            sent.timestamp = record.timestamp_ms;
            send(&producer, sent)?;
        }
        let mut places = vec![(0, 0); records.len()];
        for _ in records {
            let (number, partition, outcome) = delivered.recv()?;
            places[number as usize] = (partition, outcome?);
        }
        for (partition, offset) in places {
            contract::acked(partition, offset);
        }
        Ok(())
    }

    fn consume(&self, options: &Options) -> Result {
        let consumer: BaseConsumer = config(options)
            .set("group.id", "unused") // it insists on one, also without a group
            .set("enable.auto.commit", "false")
            .create()?;
        let mut places = TopicPartitionList::new();
        for partition in 0..options.partitions {
            place(&options.topic, partition, 0, &mut places)?;
        }
        consumer.assign(&places)?;
        let mut wanted = options.count;
        while wanted > 0 {
            for message in collect(&consumer)?.iter().take(wanted) {
                report(message);
                wanted -= 1;
            }
        }
        Ok(())
    }

    fn join(&self, options: &Options, commands: Receiver<Command>) -> Result {
        let consumer = member(options)?;
        let mut owned = None;
        loop {
            collect(&consumer)?.iter().for_each(report);
            // What a cooperative member owns is more than what a callback says to be new.
            let mut now: Vec<i32> = consumer.assignment()?.elements().iter().map(|each| each.partition()).collect();
            now.sort();
            if owned.as_ref() != Some(&now) && (owned.is_some() || !now.is_empty()) {
                contract::assigned(&now);
                owned = Some(now);
            }
            match commands.try_recv() {
                Ok(Command::Commit(offsets)) => {
                    let mut places = TopicPartitionList::new();
                    for (partition, offset) in &offsets {
                        place(&options.topic, *partition, *offset, &mut places)?;
                    }
                    consumer.commit(&places, CommitMode::Sync)?;
                    contract::committed(&offsets);
                }
                Ok(Command::Leave) => return Ok(()),
                Err(_) => {}
            }
        }
    }

    fn flow(&self, options: &Options, numbers: Receiver<i64>) -> Result {
        let idempotent = options.idempotent.to_string();
        let (producer, delivered) =
            reporting(config(options).set("enable.idempotence", idempotent).set("acks", "all"))?;
        let send_number = |number: i64| {
            let value = number.to_string();
            let partition = (number % i64::from(options.partitions)) as i32;
            let record = BaseRecord::with_opaque_to(&options.topic, Box::new(number));
            send(&producer, record.partition(partition).payload(value.as_bytes()))
        };
        let mut waiting = 0;
        let wait_below = |waiting: &mut usize, limit: usize| -> Result {
            while *waiting >= limit {
                let (number, partition, outcome) = delivered.recv()?;
                match outcome {
                    Ok(offset) => {
                        *waiting -= 1;
                        contract::acked_number(number, partition, offset);
                    }
                    Err(error) if options.idempotent => return Err(error.into()),
                    Err(_) => send_number(number)?,
                }
            }
            Ok(())
        };
        for number in numbers {
            waiting += 1;
            send_number(number)?;
            wait_below(&mut waiting, UNACKNOWLEDGED_MAX)?;
        }
        wait_below(&mut waiting, 1)
    }

    fn abort(&self, options: &Options) -> Result {
        let producer = transactional(options)?;
        producer.begin_transaction()?;
        let record = BaseRecord::with_opaque_to(&options.to, Box::new(0));
        send(&producer, record.partition(0).payload(b"aborted"))?;
        producer.flush(options.deadline)?;
        Ok(producer.abort_transaction(options.deadline)?)
    }

    fn copies(&self, options: &Options, copied: &dyn Fn(usize) -> bool) -> Result {
        let producer = transactional(options)?;
        let consumer = member(options)?;
        loop {
            let messages = collect(&consumer)?;
            if !messages.is_empty() {
                copy_batch(options, &producer, &consumer, &messages)?;
            }
            if !copied(messages.len()) {
                return Ok(());
            }
        }
    }

    fn offsets(&self, options: &Options) -> Result {
        let consumer: BaseConsumer = config(options).create()?;
        let (mut beginning, mut end) = (Offsets::new(), Offsets::new());
        let mut times = TopicPartitionList::new();
        for partition in 0..options.partitions {
            let (low, high) = consumer.fetch_watermarks(&options.topic, partition, options.deadline)?;
            beginning.insert(partition, low);
            end.insert(partition, high);
            place(&options.topic, partition, options.at_ms, &mut times)?;
        }
        let found = consumer.offsets_for_times(times, options.deadline)?;
        let mut at = Offsets::new();
        for each in found.elements() {
            // Where there is none it says "the end".
            at.insert(each.partition(), if let Offset::Offset(offset) = each.offset() { offset } else { -1 });
        }
        contract::report_offsets(&beginning, &end, &at);
        Ok(())
    }

    fn admin(&self, options: &Options) -> Result<Box<dyn contract::Admin>> {
        let (topic, deadline) = (options.topic.clone(), options.deadline);
        Ok(Box::new(Admin { client: config(options).create()?, topic, deadline }))
    }
}

fn copy_batch(
    options: &Options, producer: &ThreadedProducer<Reports>, consumer: &BaseConsumer, messages: &[BorrowedMessage<'_>],
) -> Result {
    producer.begin_transaction()?;
    let mut next = BTreeMap::new();
    for message in messages {
        let mut record = BaseRecord::with_opaque_to(&options.to, Box::new(0)).partition(message.partition());
        record.key = message.key();
        record.payload = message.payload();
        send(producer, record)?;
        next.insert(message.partition(), message.offset() + 1);
    }
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in next {
        place(&options.topic, partition, offset, &mut offsets)?;
    }
    let group = consumer.group_metadata().ok_or("it is no member")?;
    producer.send_offsets_to_transaction(&offsets, &group, TRANSACTION_TIME)?;
    Ok(producer.commit_transaction(TRANSACTION_TIME)?)
}

struct Admin {
    client: AdminClient<DefaultClientContext>,
    topic: String,
    deadline: Duration,
}

impl contract::Admin for Admin {
    fn create(&self, partitions: i32, configs: &Configs) -> Result {
        let mut topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1));
        for (name, value) in configs {
            topic = topic.set(name, value);
        }
        let results = block_on(self.client.create_topics([&topic], &AdminOptions::new()))?;
        results[0].as_ref().map_err(|(_, code)| *code)?;
        Ok(())
    }

    fn describe(&self, names: &[String]) -> Result<(usize, Configs)> {
        let metadata = self.client.inner().fetch_metadata(Some(&self.topic), self.deadline)?;
        let partitions = metadata.topics()[0].partitions().len();
        let resource = ResourceSpecifier::Topic(&self.topic);
        let results = block_on(self.client.describe_configs([&resource], &AdminOptions::new()))?;
        let told = results[0].as_ref().map_err(|code| *code)?;
        let value = |name: &String| told.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        Ok((partitions, names.iter().map(|name| (name.clone(), value(name))).collect()))
    }

    fn alter(&self, configs: &Configs) -> Result {
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(&self.topic));
        for (name, value) in configs {
            altered = altered.set(name, value);
        }
        let results = block_on(self.client.alter_configs([&altered], &AdminOptions::new()))?;
        results[0].as_ref().map_err(|(_, code)| *code)?;
        Ok(())
    }

    fn delete(&self) -> Result {
        let results = block_on(self.client.delete_topics(&[&self.topic], &AdminOptions::new()))?;
        results[0].as_ref().map_err(|(_, code)| *code)?;
        Ok(())
    }

    fn topics(&self) -> Result<Vec<String>> {
        let metadata = self.client.inner().fetch_metadata(None, self.deadline)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_string()).collect())
    }
}

fn main() {
    contract::run(&Driver);
}
