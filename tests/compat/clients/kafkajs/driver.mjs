// kafkajs. CONTRACT.md says what it must do.
//
// It knows gzip; the other codecs are registered as its documentation says, from packages without a compiler's needs.

import kafkajs from "kafkajs";
import SnappyCodec from "kafkajs-snappy";
import lz4 from "lz4-napi";
import { ZstdCodec } from "zstd-codec";
import { acked, ackedNumber, assigned, bytes, committed, fail, numbers, options, reportOffsets, run, seen } from "./contract.mjs";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
const zstd = await new Promise((resolve) => ZstdCodec.run((module) => resolve(new module.Streaming())));
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: (buffer) => Buffer.from(zstd.decompress(buffer)),
});

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

// Its default, five retries in some seconds, may be over before a broker is back.
const PATIENCE = { retries: 1_000, maxRetryTime: 1_000 };

const kafka = new Kafka({
  clientId: "compat",
  brokers: [options.bootstrap],
  logLevel: logLevel.WARN,
  retry: PATIENCE,
  logCreator: () => (entry) => process.stderr.write(`${JSON.stringify(entry)}\n`),
});

/** kafkajs takes headers as an object: repeated names as an array of values. */
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

async function produce(codec, records) {
  const producer = kafka.producer({ idempotent: options.idempotent });
  await producer.connect();
  // It sends one batch per partition and call, and does not split what is larger than a request may be.
  const offsets = new Map();
  for (const call of callsOf(records)) {
    const answers = await producer.send({
      topic: options.topic,
      acks: -1,
      compression: CODECS[codec],
      messages: call.map((record) => ({
        partition: record.partition,
        key: bytes(record.key),
        value: bytes(record.value),
        headers: headersOf(record.headers),
        timestamp: record.timestamp_ms === null ? undefined : String(record.timestamp_ms),
      })),
    });
    for (const { partition, baseOffset } of answers) {
      let offset = Number(baseOffset);
      for (const record of call) if (record.partition === partition) offsets.set(record, offset++);
    }
  }
  for (const record of records) acked(record.partition, offsets.get(record));
  await producer.disconnect();
}

function* callsOf(records) {
  const LIMIT_BASE64_CHARS = 1_000_000;
  let call = [];
  let size = 0;
  for (const record of records) {
    const added = record.value?.length ?? 0;
    if (call.length > 0 && size + added > LIMIT_BASE64_CHARS) {
      yield call;
      call = [];
      size = 0;
    }
    call.push(record);
    size += added;
  }
  yield call;
}

/** kafkajs has no consumer without a group: one of its own, from the beginning, does the same. */
async function consume() {
  const consumer = kafka.consumer({ groupId: `${options.topic}-reader` });
  await consumer.connect();
  await consumer.subscribe({ topic: options.topic, fromBeginning: true });
  let wanted = options.count;
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      autoCommit: false,
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
    groupId: options.group,
    sessionTimeout: 6_000,
    heartbeatInterval: 300,
    // It notices a rebalance between two fetches only.
    maxWaitTimeInMs: 300,
  });

async function join(commands) {
  const consumer = member();
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => assigned(payload.memberAssignment[options.topic] ?? []));
  consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || fail(String(payload.error)));
  await consumer.connect();
  await consumer.subscribe({ topic: options.topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => report(partition, message),
  });
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
  await consumer.disconnect();
}

/** It sends what one call holds as one batch per partition: a hundred numbers a call, and one call at a time. */
async function flow(commands) {
  const producer = kafka.producer({ idempotent: options.idempotent });
  await producer.connect();
  for await (const batch of numbers(commands)) {
    const messages = batch.map((number) => ({ partition: number % options.partitions, value: String(number) }));
    const answers = await sent(() => producer.send({ topic: options.topic, acks: -1, messages }));
    for (const { partition, baseOffset } of answers) {
      let offset = Number(baseOffset);
      for (const number of batch) if (number % options.partitions === partition) ackedNumber(number, partition, offset++);
    }
  }
  await producer.disconnect();
}

/** Send again what it gives up, unless that could double it. */
async function sent(send) {
  while (true) {
    try {
      return await send();
    } catch (error) {
      if (options.idempotent) throw error;
      console.error(error);
    }
  }
}

const transactional = async () => {
  const producer = kafka.producer({ transactionalId: options.group, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  return producer;
};

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
    await consumer.subscribe({ topic: options.topic, fromBeginning: true });
    await new Promise((resolve, reject) => {
      nothing = setInterval(() => copied(0) || resolve(), 100);
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      consumer
        .run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          eachBatch: async ({ batch, resolveOffset }) => {
            await copyBatch(producer, batch);
            resolveOffset(batch.lastOffset());
            if (!copied(batch.messages.length)) resolve();
          },
        })
        .catch(reject);
    });
  } finally {
    clearInterval(nothing);
    await Promise.allSettled([consumer.disconnect(), producer.disconnect()]);
  }
}

async function copyBatch(producer, { partition, messages }) {
  const transaction = await producer.transaction();
  try {
    await transaction.send({
      topic: options.to,
      messages: messages.map(({ key, value }) => ({ partition, key, value })),
    });
    const next = String(BigInt(messages.at(-1).offset) + 1n);
    await transaction.sendOffsets({
      consumerGroupId: options.group,
      topics: [{ topic: options.topic, partitions: [{ partition, offset: next }] }],
    });
    await transaction.commit();
  } catch (error) {
    if (transaction.isActive()) await transaction.abort();
    throw error;
  }
}

async function offsets() {
  const admin = kafka.admin();
  await admin.connect();
  const limits = await admin.fetchTopicOffsets(options.topic);
  const found = await admin.fetchTopicOffsetsByTimestamp(options.topic, options.atMs);
  await admin.disconnect();
  const of = (key) => Object.fromEntries(limits.map((limit) => [limit.partition, Number(limit[key])]));
  // Where there is none it says where the next record would go.
  const end = of("high");
  const at = found.map(({ partition, offset }) => [partition, Number(offset) < end[partition] ? Number(offset) : null]);
  reportOffsets(of("low"), end, Object.fromEntries(at));
}

async function admin() {
  const admin = kafka.admin();
  await admin.connect();
  const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: options.topic };
  return {
    create: (partitions, configs) =>
      admin.createTopics({
        topics: [{ topic: options.topic, numPartitions: partitions, configEntries: pairs(configs) }],
      }),
    describe: async (names) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [options.topic] });
      const partitions = topics[0].partitions.length;
      if (names.length === 0) return { partitions, configs: {} };
      const { resources } = await admin.describeConfigs({ resources: [{ ...resource, configNames: names }] });
      const configs = resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]);
      return { partitions, configs: Object.fromEntries(configs) };
    },
    alter: (configs) => admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: pairs(configs) }] }),
    delete: () => admin.deleteTopics({ topics: [options.topic] }),
    topics: () => admin.listTopics(),
  };
}

const pairs = (configs) => Object.entries(configs).map(([name, value]) => ({ name, value }));

await run({ produce, consume, join, flow, abort, copies, offsets, admin });
