// @confluentinc/kafka-javascript by its promises (those of kafkajs), and librdkafka below it. CONTRACT.md says what it must do.

import confluent from "@confluentinc/kafka-javascript";
import { acked, ackedNumber, assigned, bytes, committed, fail, numbers, options, reportOffsets, run, seen } from "./contract.mjs";

const { Kafka, logLevel } = confluent.KafkaJS;

const POLL_MS = 100;
const BATCH_RECORDS = 500;
const COPY_TIMEOUT_MS = 10_000;
const ADMIN_TIMEOUT_MS = 20_000;

const logger = {
  namespace: () => logger,
  setLogLevel: () => {},
  ...Object.fromEntries(["error", "warn", "info", "debug"].map((level) => [level, (...said) => console.error(level, ...said)])),
};
const kafka = new Kafka({ kafkaJS: { clientId: "compat", brokers: [options.bootstrap], logLevel: logLevel.WARN, logger } });

/** It takes headers as an object: repeated names as an array of values. */
function headersOf(pairs) {
  const headers = {};
  for (const [name, content] of pairs) {
    if (name in headers) headers[name] = [headers[name], bytes(content)].flat();
    else headers[name] = bytes(content);
  }
  return headers;
}

const report = (partition, message) =>
  seen({
    partition,
    offset: Number(message.offset),
    timestamp_ms: Number(message.timestamp),
    key: message.key,
    value: message.value,
    headers: Object.entries(message.headers ?? {}).flatMap(([name, content]) => [content].flat().map((one) => [name, one])),
  });

/** Sends one message; returns its offset. */
async function sent(producer, topic, message) {
  const [{ baseOffset, offset }] = await producer.send({ topic, messages: [message] });
  return Number(baseOffset ?? offset);
}

async function produce(codec, records) {
  // It lingers so that neighbours share a batch.
  const producer = kafka.producer({ kafkaJS: { idempotent: options.idempotent, compression: codec }, "linger.ms": 20 });
  await producer.connect();
  const messages = records.map((record) => ({
    partition: record.partition,
    key: bytes(record.key),
    value: bytes(record.value),
    headers: headersOf(record.headers),
    timestamp: record.timestamp_ms === null ? undefined : String(record.timestamp_ms),
  }));
  const offsets = await Promise.all(messages.map((message) => sent(producer, options.topic, message)));
  records.forEach((record, index) => acked(record.partition, offsets[index]));
  await producer.disconnect();
}

/** Without a group there is no consumer: one of its own, from the beginning, does the same. */
async function consume() {
  const consumer = kafka.consumer({ kafkaJS: { groupId: `${options.topic}-reader`, fromBeginning: true, autoCommit: false } });
  await consumer.connect();
  await consumer.subscribe({ topic: options.topic });
  let wanted = options.count;
  await new Promise((resolve) => {
    consumer.run({
      eachMessage: async ({ partition, message }) => {
        if (wanted > 0) report(partition, message);
        if (--wanted === 0) resolve();
      },
    });
  });
  await consumer.disconnect();
}

const member = () =>
  kafka.consumer({
    kafkaJS: {
      groupId: options.group,
      fromBeginning: true,
      autoCommit: false,
      sessionTimeout: 6_000,
      heartbeatInterval: 300,
    },
    "js.consumer.max.batch.size": BATCH_RECORDS,
    ...(options.instance ? { "group.instance.id": options.instance } : {}),
  });

async function join(commands) {
  const consumer = member();
  await consumer.connect();
  await consumer.subscribe({ topic: options.topic });
  await consumer.run({ eachMessage: async ({ partition, message }) => report(partition, message) });
  let owned = "[]";
  const watching = setInterval(() => {
    const now = consumer.assignment().map(({ partition }) => partition).sort();
    if (JSON.stringify(now) !== owned) {
      owned = JSON.stringify(now);
      assigned(now);
    }
  }, POLL_MS);
  for await (const command of commands) {
    if (command.do === "leave") break;
    await consumer.commitOffsets(
      Object.entries(command.offsets).map(([partition, offset]) => ({
        topic: options.topic,
        partition: Number(partition),
        offset: String(offset),
      })),
    );
    committed(command.offsets);
  }
  clearInterval(watching);
  await consumer.disconnect();
}

async function flow(commands) {
  const producer = kafka.producer({ kafkaJS: { idempotent: options.idempotent } });
  await producer.connect();
  for await (const batch of numbers(commands)) {
    await Promise.all(
      batch.map(async (number) => {
        const partition = number % options.partitions;
        ackedNumber(number, partition, await sentInTheEnd(producer, { partition, value: String(number) }));
      }),
    );
  }
  await producer.disconnect();
}

/** Send again what it gives up, unless that could double it. */
async function sentInTheEnd(producer, message) {
  while (true) {
    try {
      return await sent(producer, options.topic, message);
    } catch (error) {
      if (options.idempotent) throw error;
      console.error(error);
    }
  }
}

async function transactional() {
  const producer = kafka.producer({ kafkaJS: { transactionalId: options.group } });
  await producer.connect();
  return producer;
}

async function abort() {
  const producer = await transactional();
  const transaction = await producer.transaction();
  await transaction.send({ topic: options.to, messages: [{ partition: 0, value: "aborted" }] });
  await transaction.abort();
  await producer.disconnect();
}

async function copies(copied) {
  const producer = await transactional();
  const consumer = member();
  let nothing;
  try {
    await consumer.connect();
    await consumer.subscribe({ topic: options.topic });
    await new Promise((resolve, reject) => {
      nothing = setInterval(() => copied(0) || resolve(), POLL_MS);
      consumer.run({
        eachBatchAutoResolve: false,
        eachBatch: async ({ batch, resolveOffset }) => {
          // What is thrown here it would try again by itself.
          try {
            await soon(copyBatch(producer, consumer, batch));
          } catch (error) {
            return reject(error);
          }
          resolveOffset(batch.lastOffset());
          if (!copied(batch.messages.length)) resolve();
        },
      });
    });
  } finally {
    clearInterval(nothing);
    await Promise.allSettled([soon(consumer.disconnect()), soon(producer.disconnect())]);
  }
}

/** A broker that dies meanwhile leaves librdkafka waiting for as long as it may, against Apache Kafka too: an
 *  application that begins anew after a while goes on. */
function soon(doing) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it takes too long")), COPY_TIMEOUT_MS).unref());
  return Promise.race([doing, late]);
}

async function copyBatch(producer, consumer, { partition, messages }) {
  const transaction = await producer.transaction();
  await Promise.all(
    messages.map(({ key, value }) => transaction.send({ topic: options.to, messages: [{ partition, key, value }] })),
  );
  const next = String(BigInt(messages.at(-1).offset) + 1n);
  await transaction.sendOffsets({ consumer, topics: [{ topic: options.topic, partitions: [{ partition, offset: next }] }] });
  await transaction.commit();
}

async function offsets() {
  const admin = await connected();
  const limits = await admin.fetchTopicOffsets(options.topic, { timeout: ADMIN_TIMEOUT_MS });
  const found = await admin.fetchTopicOffsetsByTimestamp(options.topic, options.atMs, { timeout: ADMIN_TIMEOUT_MS });
  await admin.disconnect();
  const of = (key) => Object.fromEntries(limits.map((limit) => [limit.partition, Number(limit[key])]));
  // Where there is none it says where the next record would go.
  const end = of("high");
  const at = found.map(({ partition, offset }) => [partition, Number(offset) < end[partition] ? Number(offset) : null]);
  reportOffsets(of("low"), end, Object.fromEntries(at));
}

async function connected() {
  const admin = kafka.admin();
  await admin.connect();
  return admin;
}

async function admin() {
  const admin = await connected();
  return {
    create: (partitions) =>
      admin.createTopics({ topics: [{ topic: options.topic, numPartitions: partitions }], timeout: ADMIN_TIMEOUT_MS }),
    describe: async () => {
      const [topic] = await admin.fetchTopicMetadata({ topics: [options.topic], timeout: ADMIN_TIMEOUT_MS });
      return { partitions: topic.partitions.length, configs: {} };
    },
    alter: () => fail("it alters no configs"),
    delete: () => admin.deleteTopics({ topics: [options.topic], timeout: ADMIN_TIMEOUT_MS }),
    topics: () => admin.listTopics({ timeout: ADMIN_TIMEOUT_MS }),
  };
}

await run({ produce, consume, join, flow, abort, copies, offsets, admin });
