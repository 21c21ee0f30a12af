// What the JavaScript drivers share: CONTRACT.md as seen by a driver.

import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const UNACKNOWLEDGED_MAX = 100;
const BEGIN_ANEW_MS = 200;
// What is read again and compared afterwards has to stay within reason.
const BURST_MS = 25;

const action = process.argv[2];
const NAMES = [
  "bootstrap", "topic", "group", "to", "instance", "idempotent", "partitions", "count", "at-ms", "deadline-s",
];
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: Object.fromEntries(NAMES.map((name) => [name, { type: "string" }])),
});

/** The command line. */
export const options = {
  ...values,
  partitions: Number(values.partitions ?? 1),
  count: Number(values.count ?? 0),
  atMs: Number(values["at-ms"] ?? 0),
  idempotent: values.idempotent === "true",
};

const emit = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
const text = (content) => (content === null || content === undefined ? null : content.toString("base64"));
export const bytes = (content) => (content === null ? null : Buffer.from(content, "base64"));

export const acked = (partition, offset) => emit("acked", { partition, offset });
export const ackedNumber = (number, partition, offset) => emit("acked", { number, partition, offset });
export const assigned = (partitions) => emit("assigned", { partitions });
export const committed = (offsets) => emit("committed", { offsets });
export const reportOffsets = (beginning, end, at) => emit("offsets", { beginning, end, at });

/** Tell of one record that was read; bytes are Buffers or null. */
export const seen = ({ key, value, headers, ...rest }) =>
  emit("record", {
    ...rest,
    key: text(key),
    value: text(value),
    headers: headers.map(([name, content]) => [name, text(content)]),
  });

/** End once what was printed has left: a client's timers and sockets must not hold up the harness. */
const end = (status) => process.stdout.write("", () => process.exit(status));

export function fail(reason) {
  emit("error", { reason });
  end(1);
}

/** Numbers to send, a hundred at a time, until the harness tells the driver to leave. */
export async function* numbers(commands) {
  let told = false;
  commands.next().then(() => (told = true));
  for (let number = 0; !told; number += UNACKNOWLEDGED_MAX) {
    await new Promise((resolve) => setTimeout(resolve, BURST_MS));
    yield Array.from({ length: UNACKNOWLEDGED_MAX }, (_, index) => number + index);
  }
}

/** Do what the command line asks for, with what the driver can do, and end the process as the contract wants it. */
export async function run(driver) {
  setTimeout(() => fail("deadline"), Number(values["deadline-s"]) * 1000);
  try {
    await actions(driver)[action]();
    emit("done");
    end(0);
  } catch (error) {
    console.error(error);
    fail(String(error));
  }
}

const actions = (driver) => ({
  produce: () => produce(driver),
  consume: () => driver.consume(),
  join: () => driver.join(commands()),
  flow: () => driver.flow(commands()),
  copy: () => copy(driver),
  relay: () => relay(driver),
  offsets: () => driver.offsets(),
  admin: () => administrate(driver),
});

async function* lines() {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line);
}

async function* commands() {
  yield* lines();
  yield { do: "leave" };
}

async function produce(driver) {
  const records = [];
  for await (const record of lines()) records.push(record);
  for (let from = 0; from < records.length; ) {
    const { codec } = records[from];
    let to = from;
    while (to < records.length && records[to].codec === codec) to++;
    await driver.produce(codec, records.slice(from, to));
    from = to;
  }
}

async function copy(driver) {
  await driver.abort();
  let wanted = options.count;
  await driver.copies((count) => (wanted -= count) > 0);
}

/** Whatever fails is begun anew, at what is committed. */
async function relay(driver) {
  let told = false;
  commands()
    .next()
    .then(() => (told = true));
  while (!told) {
    try {
      await driver.copies((count) => {
        if (count > 0) emit("copied", { count });
        return !told;
      });
    } catch (error) {
      console.error(error);
      await new Promise((resolve) => setTimeout(resolve, BEGIN_ANEW_MS));
    }
  }
}

async function administrate(driver) {
  const admin = await driver.admin();
  for await (const command of lines()) {
    if (command.do === "create") {
      await admin.create(command.partitions, command.configs);
      emit("created");
    } else if (command.do === "describe") {
      emit("described", await admin.describe(command.configs));
    } else if (command.do === "alter") {
      await admin.alter(command.configs);
      emit("altered");
    } else if (command.do === "delete") {
      await admin.delete();
      emit("deleted");
    } else {
      emit("listed", { topics: await admin.topics() });
    }
  }
}
