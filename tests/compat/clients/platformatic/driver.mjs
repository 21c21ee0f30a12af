// @platformatic/kafka. CONTRACT.md says what it must do.

import { readFileSync } from "node:fs";
import * as platformatic from "@platformatic/kafka";
import { acked, ackedNumber, assigned, bytes, committed, numbers, options, reportOffsets, run, seen } from "./contract.mjs";

const { Admin, Consumer, Producer } = platformatic;
const PACKAGE = new URL("node_modules/@platformatic/kafka/package.json", import.meta.url);
// Up to 1.x what is committed is the last record that was read; it goes on after that.
const COMMITTED_BEFORE_NEXT = JSON.parse(readFileSync(PACKAGE)).version.startsWith("1.") ? 1n : 0n;

const READ_COMMITTED = 1;
const SET = 0;
const FIRST = -2n;
const NEXT = -1n;

const CLIENT = {
  clientId: "compat",
  bootstrapBrokers: [options.bootstrap],
  // Its default, three retries in some seconds, may be over before a broker is back.
  retries: true,
  retryDelay: 250,
};

/** Headers are a map of buffers, and two buffers with the same bytes are two keys of it. */
const headersOf = (pairs) => new Map(pairs.map(([name, content]) => [Buffer.from(name), bytes(content)]));

const report = ({ partition, offset, timestamp, key, value, headers }) =>
  seen({
    partition,
    offset: Number(offset),
    timestamp_ms: Number(timestamp),
    key,
    value,
    headers: [...headers].map(([name, content]) => [name.toString(), content]),
  });

/** Send in one call, which is one batch per partition; the offset of each message. */
async function send(producer, messages, compression) {
  const { offsets } = await producer.send({ messages, acks: -1, compression, idempotent: options.idempotent });
  const next = new Map(offsets.map(({ partition, offset }) => [partition, Number(offset)]));
  return messages.map(({ partition }) => {
    const offset = next.get(partition);
    next.set(partition, offset + 1);
    return offset;
  });
}

const producing = () => new Producer({ ...CLIENT, idempotent: options.idempotent });

async function produce(codec, records) {
  const producer = producing();
  for (const call of callsOf(records)) {
    const messages = call.map((record) => ({
      topic: options.topic,
      partition: record.partition,
      key: bytes(record.key) ?? undefined,
      value: bytes(record.value) ?? undefined,
      headers: headersOf(record.headers),
      timestamp: record.timestamp_ms === null ? undefined : BigInt(record.timestamp_ms),
    }));
    const offsets = await send(producer, messages, codec);
    call.forEach(({ partition }, index) => acked(partition, offsets[index]));
  }
  await producer.close();
}

/** It does not split what is larger than a request may be. */
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

/** It has no consumer without a group: one of its own, from the beginning, does the same. */
async function consume() {
  const consumer = new Consumer({ ...CLIENT, groupId: `${options.topic}-reader` });
  const stream = await consumer.consume({
    topics: [options.topic],
    mode: "earliest",
    autocommit: false,
    isolationLevel: READ_COMMITTED,
  });
  let wanted = options.count;
  for await (const message of stream) {
    report(message);
    if (--wanted === 0) break;
  }
  await consumer.close(true);
}

const member = () =>
  new Consumer({
    ...CLIENT,
    groupId: options.group,
    sessionTimeout: 6_000,
    rebalanceTimeout: 6_000,
    heartbeatInterval: 300,
    ...(options.instance ? { groupInstanceId: options.instance } : {}),
  });

async function join(commands) {
  const consumer = member();
  consumer.on("consumer:group:join", ({ assignments }) => {
    assigned(assignments?.find(({ topic }) => topic === options.topic)?.partitions ?? []);
  });
  await follow(consumer);
  for await (const command of commands) {
    if (command.do === "leave") break;
    await consumer.commit({
      offsets: Object.entries(command.offsets).map(([partition, offset]) => ({
        topic: options.topic,
        partition: Number(partition),
        offset: BigInt(offset) - COMMITTED_BEFORE_NEXT,
        leaderEpoch: 0,
      })),
    });
    committed(command.offsets);
  }
  await consumer.close(true);
}

/** A stream ends with the first fetch that fails; an application opens another, from what is committed on. */
async function follow(consumer) {
  const again = (error) => {
    console.error(error);
    setTimeout(() => follow(consumer).catch(again), CLIENT.retryDelay);
  };
  const stream = await consumer.consume({
    topics: [options.topic],
    mode: "committed",
    fallbackMode: "earliest",
    autocommit: false,
    maxWaitTime: 300,
  });
  stream.on("data", report);
  stream.on("error", again);
}

/** A hundred numbers a call, and one call at a time. */
async function flow(commands) {
  const producer = producing();
  for await (const batch of numbers(commands)) {
    const messages = batch.map((number) => ({
      topic: options.topic,
      partition: number % options.partitions,
      value: Buffer.from(String(number)),
    }));
    const offsets = await send(producer, messages, "none");
    batch.forEach((number, index) => ackedNumber(number, messages[index].partition, offsets[index]));
  }
  await producer.close();
}

async function offsets() {
  const consumer = new Consumer({ ...CLIENT, groupId: `${options.topic}-offsets` });
  const of = async (timestamp) => {
    const found = await consumer.listOffsets({ topics: [options.topic], timestamp });
    return found.get(options.topic).map(Number);
  };
  const byPartition = (found) => Object.fromEntries(found.map((offset, partition) => [partition, offset]));
  const at = (await of(BigInt(options.atMs))).map((offset) => (offset < 0 ? null : offset));
  reportOffsets(byPartition(await of(FIRST)), byPartition(await of(NEXT)), byPartition(at));
  await consumer.close(true);
}

async function admin() {
  const admin = new Admin(CLIENT);
  const topics = [options.topic];
  const topic = { resourceType: platformatic.ConfigResourceTypes?.TOPIC, resourceName: options.topic };
  return {
    create: (partitions, configs) =>
      admin.createTopics({ topics, partitions, replicas: 1, configs: Object.entries(configs).map(([name, value]) => ({ name, value })) }),
    describe: async (names) => {
      const metadata = await admin.metadata({ topics, forceUpdate: true });
      const partitions = metadata.topics.get(options.topic).partitionsCount;
      if (names.length === 0) return { partitions, configs: {} };
      const [described] = await admin.describeConfigs({ resources: [{ ...topic, configurationKeys: names }] });
      return { partitions, configs: Object.fromEntries(described.configs.map(({ name, value }) => [name, value])) };
    },
    alter: (configs) =>
      admin.incrementalAlterConfigs({
        resources: [{ ...topic, configs: Object.entries(configs).map(([name, value]) => ({ name, value, configOperation: SET })) }],
      }),
    delete: () => admin.deleteTopics({ topics }),
    topics: () => admin.listTopics(),
  };
}

await run({ produce, consume, join, flow, offsets, admin });
