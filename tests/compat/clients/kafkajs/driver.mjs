// kafkajs. CONTRACT.md says what it must do.
//
// It knows gzip; the other codecs are registered as its documentation says, from packages without a compiler's needs.

import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import kafkajs from "kafkajs";
import SnappyCodec from "kafkajs-snappy";
import lz4 from "lz4-napi";
import { ZstdCodec } from "zstd-codec";

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

const action = process.argv[2];
const { values: options } = parseArgs({
  args: process.argv.slice(3),
  options: Object.fromEntries(
    ["bootstrap", "topic", "group", "partitions", "count", "deadline-s"].map((name) => [name, { type: "string" }]),
  ),
});
const kafka = new Kafka({
  clientId: "compat",
  brokers: [options.bootstrap],
  logLevel: logLevel.WARN,
  logCreator: () => (entry) => process.stderr.write(`${JSON.stringify(entry)}\n`),
});

const emit = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const text = (bytes) => (bytes === null || bytes === undefined ? null : bytes.toString("base64"));
const bytes = (content) => (content === null ? null : Buffer.from(content, "base64"));

/** End once what was printed has left: a client's timers and sockets must not hold up the harness. */
const end = (status) => process.stdout.write("", () => process.exit(status));

function fail(reason) {
  emit("error", { reason });
  end(1);
}

/** kafkajs takes headers as an object: repeated names as an array of values. */
function headersOf(pairs) {
  const headers = {};
  for (const [name, content] of pairs) {
    if (name in headers) headers[name] = [headers[name], bytes(content)].flat();
    else headers[name] = bytes(content);
  }
  return headers;
}

function seen(partition, message) {
  emit("record", {
    partition,
    offset: Number(message.offset),
    timestamp_ms: Number(message.timestamp),
    key: text(message.key),
    value: text(message.value),
    headers: Object.entries(message.headers ?? {}).flatMap(([name, content]) =>
      [content].flat().map((one) => [name, text(one)]),
    ),
  });
}

async function produce() {
  const records = [];
  for await (const line of createInterface({ input: process.stdin })) records.push(JSON.parse(line));
  for (let from = 0; from < records.length; ) {
    const { codec } = records[from];
    let to = from;
    while (to < records.length && records[to].codec === codec) to++;
    await produceWith(codec, records.slice(from, to));
    from = to;
  }
}

async function produceWith(codec, records) {
  const producer = kafka.producer();
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
  for (const record of records) emit("acked", { partition: record.partition, offset: offsets.get(record) });
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
  await consumer.subscribe({ topics: [options.topic], fromBeginning: true });
  let wanted = Number(options.count);
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (wanted > 0) seen(partition, message);
        if (--wanted === 0) resolve();
      },
    });
  });
  await consumer.disconnect();
}

async function join() {
  const consumer = kafka.consumer({
    groupId: options.group,
    sessionTimeout: 6_000,
    heartbeatInterval: 300,
    // It notices a rebalance between two fetches only.
    maxWaitTimeInMs: 300,
  });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    emit("assigned", { partitions: payload.memberAssignment[options.topic] ?? [] }),
  );
  consumer.on(consumer.events.CRASH, ({ payload }) => fail(String(payload.error)));
  await consumer.connect();
  await consumer.subscribe({ topics: [options.topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => seen(partition, message),
  });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.do === "leave") break;
    await consumer.commitOffsets(
      Object.entries(command.offsets).map(([partition, offset]) => ({
        topic: options.topic,
        partition: Number(partition),
        offset: String(offset),
      })),
    );
    emit("committed", { offsets: command.offsets });
  }
  await consumer.disconnect();
}

setTimeout(() => fail("deadline"), Number(options["deadline-s"]) * 1000);
try {
  await { produce, consume, join }[action]();
  emit("done");
  end(0);
} catch (error) {
  console.error(error);
  fail(String(error));
}
