//! What the Rust drivers share: CONTRACT.md as seen by a driver.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{stdin, stdout, Write};
use std::process::exit;
use std::sync::mpsc::{channel, sync_channel, Receiver};
use std::thread::{sleep, spawn};
use std::time::Duration;

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};

/// How many numbers of a flow may be on their way.
pub const UNACKNOWLEDGED_MAX: usize = 100;
const BEGIN_ANEW: Duration = Duration::from_millis(200);
// What is read again and compared afterwards has to stay within reason.
const BURST: i64 = 20;
const BURST_TIME: Duration = Duration::from_millis(5);

pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;
pub type Headers = Vec<(String, Option<Vec<u8>>)>;
/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;
/// A topic's configs by name.
pub type Configs = HashMap<String, String>;

/// The command line; what it does not hold is empty or 0.
pub struct Options {
    pub bootstrap: String,
    pub topic: String,
    #[allow(dead_code)] // a client without groups asks for none of these three
    pub group: String,
    #[allow(dead_code)]
    pub to: String,
    #[allow(dead_code)]
    pub instance: String,
    pub partitions: i32,
    pub count: usize,
    pub at_ms: i64,
    pub idempotent: bool,
    pub deadline: Duration,
}

/// A record to produce; without a timestamp it gets that of the client's clock.
pub struct Record {
    pub partition: i32,
    pub codec: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    pub timestamp_ms: Option<i64>,
}

/// A record as the client gave it to its application.
pub struct Seen<'a> {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers,
}

/// What the harness asks of one that goes on until told to leave.
pub enum Command {
    Commit(Offsets),
    Leave,
}

/// What a client's admin can do to the topic of the command line.
pub trait Admin {
    fn create(&self, partitions: i32, configs: &Configs) -> Result;
    /// How many partitions it has, and these of its configs.
    fn describe(&self, names: &[String]) -> Result<(usize, Configs)>;
    fn alter(&self, configs: &Configs) -> Result;
    fn delete(&self) -> Result;
    fn topics(&self) -> Result<Vec<String>>;
}

/// What each client implements; what it leaves out its client cannot do.
pub trait Driver {
    /// Sends records of one codec; reports them with `acked`, in order.
    fn produce(&self, options: &Options, codec: &str, records: &[Record]) -> Result;
    fn consume(&self, options: &Options) -> Result;
    /// Sends numbers as long as there are any; reports them with `acked_number`.
    fn flow(&self, options: &Options, numbers: Receiver<i64>) -> Result;
    fn offsets(&self, options: &Options) -> Result;
    fn admin(&self, options: &Options) -> Result<Box<dyn Admin>>;

    fn join(&self, _options: &Options, _commands: Receiver<Command>) -> Result {
        Err("this client has no groups".into())
    }

    /// Writes "aborted" to partition 0 of `to` in a transaction that is aborted.
    fn abort(&self, _options: &Options) -> Result {
        Err("this client has no transactions".into())
    }

    /// Copies in transactions from what is committed on, as long as `copied`, told after each transaction and each
    /// empty poll how many records it had, says so.
    fn copies(&self, _options: &Options, _copied: &dyn Fn(usize) -> bool) -> Result {
        Err("this client has no transactions".into())
    }
}

/// Does what the command line asks for and ends the process as the contract wants it.
pub fn run(driver: &dyn Driver) -> ! {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = parse(&arguments[1..]);
    let deadline = options.deadline;
    spawn(move || {
        sleep(deadline);
        fail("deadline");
    });
    if let Err(error) = act(driver, &arguments[0], &options) {
        fail(&error.to_string());
    }
    emit(json!({"event": "done"}));
    exit(0)
}

fn act(driver: &dyn Driver, action: &str, options: &Options) -> Result {
    match action {
        "produce" => produce(driver, options),
        "consume" => driver.consume(options),
        "join" => driver.join(options, commands()),
        "flow" => driver.flow(options, numbers(commands())),
        "copy" => copy(driver, options),
        "relay" => relay(driver, options, commands()),
        "offsets" => driver.offsets(options),
        "admin" => administrate(driver.admin(options)?.as_ref()),
        _ => Err(format!("this driver does not know {action:?}").into()),
    }
}

/// Counts until the harness tells the driver to leave.
fn numbers(commands: Receiver<Command>) -> Receiver<i64> {
    let (into, numbers) = sync_channel(UNACKNOWLEDGED_MAX);
    spawn(move || {
        for number in 0.. {
            if commands.try_recv().is_ok() || into.send(number).is_err() {
                return;
            }
            if number % BURST == BURST - 1 {
                sleep(BURST_TIME);
            }
        }
    });
    numbers
}

fn produce(driver: &dyn Driver, options: &Options) -> Result {
    let records = stdin().lines().map(|line| record(&line?)).collect::<Result<Vec<_>>>()?;
    for neighbours in records.chunk_by(|one, next| one.codec == next.codec) {
        driver.produce(options, &neighbours[0].codec, neighbours)?;
    }
    Ok(())
}

fn copy(driver: &dyn Driver, options: &Options) -> Result {
    driver.abort(options)?;
    let done = Cell::new(0);
    driver.copies(options, &|count| {
        done.set(done.get() + count);
        done.get() < options.count
    })
}

/// Whatever fails is begun anew, at what is committed.
fn relay(driver: &dyn Driver, options: &Options, commands: Receiver<Command>) -> Result {
    let left = Cell::new(false);
    loop {
        let ended = driver.copies(options, &|count| {
            if count > 0 {
                emit(json!({"event": "copied", "count": count}));
            }
            left.set(left.get() || commands.try_recv().is_ok());
            !left.get()
        });
        if left.get() {
            return Ok(());
        }
        eprintln!("begins anew: {ended:?}");
        sleep(BEGIN_ANEW);
    }
}

fn administrate(admin: &dyn Admin) -> Result {
    for line in stdin().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        let configs = || serde_json::from_value(command["configs"].clone());
        emit(match command["do"].as_str() {
            Some("create") => {
                let partitions = command["partitions"].as_i64().ok_or("no partitions")?;
                admin.create(partitions as i32, &configs()?)?;
                json!({"event": "created"})
            }
            Some("describe") => {
                let names: Vec<String> = serde_json::from_value(command["configs"].clone())?;
                let (partitions, configs) = admin.describe(&names)?;
                json!({"event": "described", "partitions": partitions, "configs": configs})
            }
            Some("alter") => {
                admin.alter(&configs()?)?;
                json!({"event": "altered"})
            }
            Some("delete") => {
                admin.delete()?;
                json!({"event": "deleted"})
            }
            _ => json!({"event": "listed", "topics": admin.topics()?}),
        });
    }
    Ok(())
}

/// Reports one record as acknowledged.
pub fn acked(partition: i32, offset: i64) {
    emit(json!({"event": "acked", "partition": partition, "offset": offset}));
}

/// Reports one number of a flow as acknowledged.
pub fn acked_number(number: i64, partition: i32, offset: i64) {
    emit(json!({"event": "acked", "number": number, "partition": partition, "offset": offset}));
}

/// Reports one record as read.
pub fn seen(seen: Seen) {
    let headers: Vec<_> =
        seen.headers.iter().map(|(name, content)| json!([name, text(content.as_deref())])).collect();
    emit(json!({
        "event": "record",
        "partition": seen.partition,
        "offset": seen.offset,
        "timestamp_ms": seen.timestamp_ms,
        "key": text(seen.key),
        "value": text(seen.value),
        "headers": headers,
    }));
}

/// Reports all partitions that this member owns now, sorted.
#[allow(dead_code)] // not every client has groups
pub fn assigned(partitions: &[i32]) {
    emit(json!({"event": "assigned", "partitions": partitions}));
}

/// Reports offsets as committed.
#[allow(dead_code)]
pub fn committed(offsets: &Offsets) {
    emit(json!({"event": "committed", "offsets": offsets}));
}

/// Reports offsets by partition; a negative one in `at` is none.
pub fn report_offsets(beginning: &Offsets, end: &Offsets, at: &Offsets) {
    let found: BTreeMap<_, _> = at.iter().map(|(at, offset)| (at, (*offset >= 0).then_some(offset))).collect();
    emit(json!({"event": "offsets", "beginning": beginning, "end": end, "at": found}));
}

fn parse(arguments: &[String]) -> Options {
    let given: HashMap<&str, &str> =
        arguments.chunks(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let of = |name: &str| given.get(name).copied().unwrap_or("").to_string();
    let number = |name: &str| of(name).parse().unwrap_or(0);
    Options {
        bootstrap: of("--bootstrap"),
        topic: of("--topic"),
        group: of("--group"),
        to: of("--to"),
        instance: of("--instance"),
        partitions: number("--partitions") as i32,
        count: number("--count") as usize,
        at_ms: number("--at-ms"),
        idempotent: of("--idempotent") == "true",
        deadline: Duration::from_secs_f64(of("--deadline-s").parse().unwrap_or(0.0)),
    }
}

fn record(line: &str) -> Result<Record> {
    let fields: Value = serde_json::from_str(line)?;
    let headers = fields["headers"].as_array().ok_or("no headers")?;
    Ok(Record {
        partition: fields["partition"].as_i64().ok_or("no partition")? as i32,
        codec: fields["codec"].as_str().ok_or("no codec")?.to_string(),
        key: bytes(&fields["key"])?,
        value: bytes(&fields["value"])?,
        headers: headers
            .iter()
            .map(|pair| Ok((pair[0].as_str().ok_or("no name")?.to_string(), bytes(&pair[1])?)))
            .collect::<Result<_>>()?,
        timestamp_ms: fields["timestamp_ms"].as_i64(),
    })
}

/// What the harness asks for; the end of stdin is a wish to leave.
fn commands() -> Receiver<Command> {
    let (into, commands) = channel();
    spawn(move || {
        for line in stdin().lines().map_while(std::result::Result::ok) {
            let fields: Value = serde_json::from_str(&line).unwrap_or_default();
            let asked = match serde_json::from_value(fields["offsets"].clone()) {
                Ok(offsets) => Command::Commit(offsets),
                Err(_) => Command::Leave,
            };
            if into.send(asked).is_err() {
                return;
            }
        }
        let _ = into.send(Command::Leave);
    });
    commands
}

fn emit(event: Value) {
    let mut stdout = stdout().lock();
    if writeln!(stdout, "{event}").and_then(|()| stdout.flush()).is_err() {
        exit(1); // nobody listens any more
    }
}

fn fail(reason: &str) -> ! {
    emit(json!({"event": "error", "reason": reason}));
    exit(1)
}

fn bytes(text: &Value) -> Result<Option<Vec<u8>>> {
    Ok(text.as_str().map(|text| BASE64_STANDARD.decode(text)).transpose()?)
}

fn text(content: Option<&[u8]>) -> Option<String> {
    content.map(|content| BASE64_STANDARD.encode(content))
}
