// Package contract is what the Go drivers share: CONTRACT.md as seen by a driver.
package contract

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

// How often group members say that they are alive, and after which silence they count as dead.
const (
	SessionTimeout    = 6 * time.Second
	HeartbeatInterval = 300 * time.Millisecond
	beginAnew         = 200 * time.Millisecond
)

// UnacknowledgedMax is how many numbers of a flow may be on their way.
const UnacknowledgedMax = 100

// What is read again and compared afterwards has to stay within reason.
const (
	burst     = 20
	burstTime = 5 * time.Millisecond
)

// Options is the command line.
type Options struct {
	Bootstrap  string
	Topic      string
	Group      string
	To         string
	Partitions int
	Count      int
	AtMs       int64
	Instance   string // the static member's name; empty for a dynamic one
	Idempotent bool
	Deadline   time.Duration
}

// Header of a record; a nil value is null.
type Header struct {
	Name  string
	Value []byte
}

// Record to produce; a nil timestamp leaves it to the client's clock.
type Record struct {
	Partition   int32
	Codec       string
	Key         []byte
	Value       []byte
	Headers     []Header
	TimestampMs *int64
}

// Seen is a record as the client gave it to its application.
type Seen struct {
	Partition   int32
	Offset      int64
	TimestampMs int64
	Key         []byte
	Value       []byte
	Headers     []Header
}

// Command of the harness to a group member: commit these offsets, or, if there are none, leave.
type Command struct {
	Do      string           `json:"do"`
	Offsets map[string]int64 `json:"offsets"`
}

// Described is a topic as the client's admin describes it.
type Described struct {
	Partitions int
	Configs    map[string]string
}

// Admin is what a client's admin can do to the topic of the command line.
type Admin interface {
	Create(partitions int, configs map[string]string) error
	Describe(configs []string) (Described, error)
	Alter(configs map[string]string) error
	Delete() error
	Topics() ([]string, error)
}

// Driver is what each client implements; nil is what it cannot do.
type Driver struct {
	// Produce sends records of one codec; it reports them with Acked, in order.
	Produce func(options Options, codec string, records []Record) error
	Consume func(options Options) error
	Join    func(options Options, commands <-chan Command) error
	// Flow sends numbers as long as there are any; it reports them with AckedNumber.
	Flow func(options Options, numbers <-chan int) error
	// Abort writes "aborted" to partition 0 of To in a transaction that is aborted.
	Abort func(options Options) error
	// Copies copies in transactions from what is committed on, as long as copied, told after each transaction and
	// each empty poll how many records it had, says so.
	Copies  func(options Options, copied func(count int) bool) error
	Offsets func(options Options) error
	Admin   func(options Options) (Admin, error)
}

var stdout sync.Mutex

// Run does what the command line asks for and ends the process as the contract wants it.
func Run(driver Driver) {
	action, options := parse(os.Args[1:])
	time.AfterFunc(options.Deadline, func() { fail(errors.New("deadline")) })
	if err := act(driver, action, options); err != nil {
		fail(err)
	}
	emit(map[string]any{"event": "done"})
	os.Exit(0)
}

func act(driver Driver, action string, options Options) error {
	switch {
	case action == "produce":
		return produce(driver, options)
	case action == "consume":
		return driver.Consume(options)
	case action == "join" && driver.Join != nil:
		return driver.Join(options, commands())
	case action == "flow" && driver.Flow != nil:
		return driver.Flow(options, numbers(commands()))
	case action == "copy" && driver.Copies != nil:
		return copyCount(driver, options)
	case action == "relay" && driver.Copies != nil:
		return relay(driver, options, commands())
	case action == "offsets" && driver.Offsets != nil:
		return driver.Offsets(options)
	case action == "admin" && driver.Admin != nil:
		return administrate(driver, options)
	}
	return fmt.Errorf("this client does not know %q", action)
}

// numbers counts until the harness tells the driver to leave.
func numbers(commands <-chan Command) <-chan int {
	channel := make(chan int)
	go func() {
		defer close(channel)
		for number := 0; ; number++ {
			select {
			case <-commands:
				return
			case channel <- number:
			}
			if number%burst == burst-1 {
				time.Sleep(burstTime)
			}
		}
	}()
	return channel
}

func copyCount(driver Driver, options Options) error {
	if err := driver.Abort(options); err != nil {
		return err
	}
	wanted := options.Count
	return driver.Copies(options, func(count int) bool {
		wanted -= count
		return wanted > 0
	})
}

// relay begins anew, at what is committed, whatever fails.
func relay(driver Driver, options Options, commands <-chan Command) error {
	left := false
	for {
		err := driver.Copies(options, func(count int) bool {
			if count > 0 {
				emit(map[string]any{"event": "copied", "count": count})
			}
			select {
			case <-commands:
				left = true
			default:
			}
			return !left
		})
		if left {
			return nil
		}
		fmt.Fprintln(os.Stderr, "begins anew:", err)
		time.Sleep(beginAnew)
	}
}

func administrate(driver Driver, options Options) error {
	admin, err := driver.Admin(options)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := administrateOnce(admin, lines.Bytes())
		if err != nil {
			return err
		}
		emit(answer)
	}
	return lines.Err()
}

func administrateOnce(admin Admin, line []byte) (map[string]any, error) {
	var command struct {
		Do         string          `json:"do"`
		Partitions int             `json:"partitions"`
		Configs    json.RawMessage `json:"configs"`
	}
	if err := json.Unmarshal(line, &command); err != nil {
		return nil, err
	}
	configs := make(map[string]string)
	var names []string
	switch command.Do {
	case "create", "alter":
		if err := json.Unmarshal(command.Configs, &configs); err != nil {
			return nil, err
		}
	case "describe":
		if err := json.Unmarshal(command.Configs, &names); err != nil {
			return nil, err
		}
	}
	switch command.Do {
	case "create":
		return map[string]any{"event": "created"}, admin.Create(command.Partitions, configs)
	case "alter":
		return map[string]any{"event": "altered"}, admin.Alter(configs)
	case "delete":
		return map[string]any{"event": "deleted"}, admin.Delete()
	case "describe":
		described, err := admin.Describe(names)
		return map[string]any{
			"event":      "described",
			"partitions": described.Partitions,
			"configs":    described.Configs,
		}, err
	}
	topics, err := admin.Topics()
	return map[string]any{"event": "listed", "topics": topics}, err
}

// AckedNumber reports one number of a flow as acknowledged.
func AckedNumber(number int, partition int32, offset int64) {
	emit(map[string]any{"event": "acked", "number": number, "partition": partition, "offset": offset})
}

// ReportOffsets tells of offsets by partition; a negative one in at is none.
func ReportOffsets(beginning, end, at map[int32]int64) {
	found := make(map[int32]*int64, len(at))
	for partition, offset := range at {
		found[partition] = nil
		if offset >= 0 {
			found[partition] = &offset
		}
	}
	emit(map[string]any{"event": "offsets", "beginning": beginning, "end": end, "at": found})
}

// Acked reports one record as acknowledged.
func Acked(partition int32, offset int64) {
	emit(map[string]any{"event": "acked", "partition": partition, "offset": offset})
}

// Report tells of one record that was read.
func Report(seen Seen) {
	headers := make([][2]*string, 0, len(seen.Headers))
	for _, header := range seen.Headers {
		name := header.Name
		headers = append(headers, [2]*string{&name, text(header.Value)})
	}
	emit(map[string]any{
		"event":        "record",
		"partition":    seen.Partition,
		"offset":       seen.Offset,
		"timestamp_ms": seen.TimestampMs,
		"key":          text(seen.Key),
		"value":        text(seen.Value),
		"headers":      headers,
	})
}

// Assigned reports all partitions that this member owns now.
func Assigned(partitions []int32) {
	owned := append([]int32{}, partitions...)
	sort.Slice(owned, func(i, j int) bool { return owned[i] < owned[j] })
	emit(map[string]any{"event": "assigned", "partitions": owned})
}

// Committed reports the command's offsets as committed.
func Committed(command Command) {
	emit(map[string]any{"event": "committed", "offsets": command.Offsets})
}

// ByPartition gives the command's offsets with numbers for partitions.
func (command Command) ByPartition() map[int32]int64 {
	offsets := make(map[int32]int64, len(command.Offsets))
	for partition, offset := range command.Offsets {
		number, err := strconv.ParseInt(partition, 10, 32)
		if err != nil {
			fail(err)
		}
		offsets[int32(number)] = offset
	}
	return offsets
}

func parse(arguments []string) (string, Options) {
	if len(arguments) == 0 {
		fail(errors.New("an action is missing"))
	}
	var options Options
	var deadlineS float64
	flags := flag.NewFlagSet("driver", flag.ExitOnError)
	flags.StringVar(&options.Bootstrap, "bootstrap", "", "")
	flags.StringVar(&options.Topic, "topic", "", "")
	flags.StringVar(&options.Group, "group", "", "")
	flags.IntVar(&options.Partitions, "partitions", 1, "")
	flags.IntVar(&options.Count, "count", 0, "")
	flags.StringVar(&options.To, "to", "", "")
	flags.Int64Var(&options.AtMs, "at-ms", 0, "")
	flags.StringVar(&options.Instance, "instance", "", "")
	idempotent := flags.String("idempotent", "false", "")
	flags.Float64Var(&deadlineS, "deadline-s", 0, "")
	_ = flags.Parse(arguments[1:]) // ends the process itself
	options.Idempotent = *idempotent == "true"
	options.Deadline = time.Duration(deadlineS * float64(time.Second))
	return arguments[0], options
}

func produce(driver Driver, options Options) error {
	records, err := readRecords(os.Stdin)
	if err != nil {
		return err
	}
	for from := 0; from < len(records); {
		to := from
		for to < len(records) && records[to].Codec == records[from].Codec {
			to++
		}
		if err := driver.Produce(options, records[from].Codec, records[from:to]); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func readRecords(source io.Reader) ([]Record, error) {
	type line struct {
		Partition   int32        `json:"partition"`
		Codec       string       `json:"codec"`
		Key         *string      `json:"key"`
		Value       *string      `json:"value"`
		Headers     [][2]*string `json:"headers"`
		TimestampMs *int64       `json:"timestamp_ms"`
	}
	var records []Record
	decoder := json.NewDecoder(source)
	for {
		var fields line
		if err := decoder.Decode(&fields); errors.Is(err, io.EOF) {
			return records, nil
		} else if err != nil {
			return nil, err
		}
		record := Record{
			Partition:   fields.Partition,
			Codec:       fields.Codec,
			Key:         content(fields.Key),
			Value:       content(fields.Value),
			TimestampMs: fields.TimestampMs,
		}
		for _, pair := range fields.Headers {
			record.Headers = append(record.Headers, Header{Name: *pair[0], Value: content(pair[1])})
		}
		records = append(records, record)
	}
}

// commands reads what the harness asks of a group member; the end of stdin is a wish to leave.
func commands() <-chan Command {
	channel := make(chan Command)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			var command Command
			if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
				fail(err)
			}
			channel <- command
		}
		channel <- Command{Do: "leave"}
	}()
	return channel
}

func emit(event map[string]any) {
	line, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	stdout.Lock()
	defer stdout.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func fail(err error) {
	emit(map[string]any{"event": "error", "reason": err.Error()})
	os.Exit(1)
}

func content(text *string) []byte {
	if text == nil {
		return nil
	}
	decoded, err := base64.StdEncoding.DecodeString(*text)
	if err != nil {
		fail(err)
	}
	return decoded // empty, not nil, for an empty text
}

func text(content []byte) *string {
	if content == nil {
		return nil
	}
	encoded := base64.StdEncoding.EncodeToString(content)
	return &encoded
}
