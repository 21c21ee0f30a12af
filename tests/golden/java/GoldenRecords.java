/*
 * Writes golden record sets: what Kafka's MemoryRecordsBuilder makes, and what Kafka reads out of it again.
 *
 *   java -cp <jars of one Kafka release> GoldenRecords.java     > records.jsonl
 *   java -cp <jars of one Kafka release> GoldenRecords.java read < sets in hex, one a line     > the same form of lines
 *
 * Magic 0, 1 and 2 in every codec, log append time, producer fields, control batches, empty and compacted batches,
 * delete horizons, several batches, several magics. README.md beside this folder describes a line.
 */

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.DefaultRecordBatch;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.ByteBufferOutputStream;

public final class GoldenRecords {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private static final long NOW = 1_700_000_000_000L;
    private static final long NONE = RecordBatch.NO_TIMESTAMP;

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 1 && arguments[0].equals("read")) {
            BufferedReader sets = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
            for (String set = sets.readLine(); set != null; set = sets.readLine()) {
                emit("read", (byte) 2, "any", ByteBuffer.wrap(HexFormat.of().parseHex(set)));
            }
            OUT.flush();
            return;
        }
        for (byte magic = 0; magic <= 2; magic++) {
            for (CompressionType codec : CompressionType.values()) {
                if (codec != CompressionType.ZSTD || magic == 2) {
                    plainSets(magic, codec);
                }
            }
        }
        for (CompressionType codec : CompressionType.values()) {
            producerSets(codec);
            compactedSets(codec);
        }
        controlSets();
        mixedSets();
        OUT.flush();
    }

    private static void plainSets(byte magic, CompressionType codec) throws Exception {
        emit("one-record", new Batch(magic, codec), b -> b.append(time(magic, 0), bytes("key"), bytes("value")));
        emit("nulls-and-empties", new Batch(magic, codec), b -> {
            b.append(time(magic, 0), null, bytes("no key"));
            b.append(time(magic, 1), bytes("tombstone"), null);
            b.append(time(magic, 2), new byte[0], new byte[0]);
            b.append(time(magic, 3), (byte[]) null, null);
        });
        emit("two-hundred-records", new Batch(magic, codec), b -> {
            for (int i = 0; i < 200; i++) {
                b.append(time(magic, i * 17), bytes("key-" + i), bytes("value-" + i));
            }
        });
        emit("large-base-offset", new Batch(magic, codec).at(1L << 40), b -> {
            b.append(time(magic, 0), bytes("a"), bytes("1"));
            b.append(time(magic, 1), bytes("b"), bytes("2"));
        });
        emit("large-value", new Batch(magic, codec), b -> {
            b.append(time(magic, 0), bytes("large"), repeated(100_000));
            b.append(time(magic, 0), bytes("small"), bytes("after it"));
        });
        if (magic > 0) {
            emit("timestamps-out-of-order", new Batch(magic, codec), b -> {
                for (long at : new long[] {5_000, 0, 10_000_000_000L, 4_999, 1}) {
                    b.append(NOW + at, null, bytes("at " + at));
                }
            });
            emit("log-append-time", new Batch(magic, codec).logAppendTime(NOW + 99), b -> {
                b.append(NOW, bytes("k"), bytes("one"));
                b.append(NOW + 500, bytes("k"), bytes("two"));
            });
        }
        if (magic == 2) {
            emit("headers", new Batch(magic, codec), b -> {
                b.append(NOW, bytes("k"), bytes("v"), new Header[] {
                    header("b", bytes("1")), header("a", null), header("b", new byte[0]), header("", bytes("x")),
                    header("\u043a\u043b\u044e\u0447 \ud83d\udc1f", bytes("\u00e9")), header("b", bytes("1")),
                });
                b.append(NOW, bytes("k"), bytes("v"), new Header[0]);
                b.append(NOW, (byte[]) null, null, new Header[] {header("long", repeated(300))});
            });
            emit("no-timestamp", new Batch(magic, codec), b -> b.append(NONE, bytes("k"), bytes("v")));
        }
    }

    private static void producerSets(CompressionType codec) throws Exception {
        Consumer<MemoryRecordsBuilder> three = b -> {
            for (int i = 0; i < 3; i++) {
                b.append(NOW + i, bytes("k" + i), bytes("v" + i));
            }
        };
        emit("idempotent", new Batch((byte) 2, codec).producer(4_000, (short) 7, 42, false).leaderEpoch(3), three);
        emit("sequence-wraps", new Batch((byte) 2, codec).producer(1, (short) 0, Integer.MAX_VALUE - 1, false), three);
        emit("transactional", new Batch((byte) 2, codec).producer(Long.MAX_VALUE, Short.MAX_VALUE, 0, true), three);
        emit("delete-horizon", new Batch((byte) 2, codec).deleteHorizon(NOW - 1_000), b -> {
            b.append(NOW, bytes("gone"), null);
            b.append(NOW + 5, bytes("stays"), bytes("v"));
        });
    }

    private static void compactedSets(CompressionType codec) throws Exception {
        for (byte magic = 0; magic <= 2; magic++) {
            byte of = magic;
            if (codec != CompressionType.ZSTD || magic == 2) {
                emit("offsets-with-gaps", new Batch(magic, codec).at(100), b -> {
                    b.appendWithOffset(103, time(of, 0), bytes("a"), bytes("1"));
                    b.appendWithOffset(110, time(of, 1), bytes("b"), bytes("2"));
                    b.appendWithOffset(1_000, time(of, 2), bytes("c"), bytes("3"));
                });
            }
        }
    }

    private static void controlSets() throws Exception {
        for (ControlRecordType type : List.of(ControlRecordType.COMMIT, ControlRecordType.ABORT)) {
            EndTransactionMarker marker = new EndTransactionMarker(type, 9);
            emit(type.name().toLowerCase() + "-marker", (byte) 2, "none",
                MemoryRecords.withEndTransactionMarker(77, NOW, 5, 4_000, (short) 7, marker).buffer());
        }
        LeaderChangeMessage leader = new LeaderChangeMessage().setLeaderId(3)
            .setVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(1), new LeaderChangeMessage.Voter().setVoterId(3)))
            .setGrantingVoters(List.of(new LeaderChangeMessage.Voter().setVoterId(3)));
        emit("leader-change", (byte) 2, "none",
            MemoryRecords.withLeaderChangeMessage(12, NOW, 5, ByteBuffer.allocate(512), leader).buffer());
        emit("snapshot-header", (byte) 2, "none",
            MemoryRecords.withSnapshotHeaderRecord(0, NOW, 5, ByteBuffer.allocate(512), new SnapshotHeaderRecord().setLastContainedLogTimestamp(NOW)).buffer());
        emit("snapshot-footer", (byte) 2, "none",
            MemoryRecords.withSnapshotFooterRecord(9, NOW, 5, ByteBuffer.allocate(512), new SnapshotFooterRecord()).buffer());
        ByteBuffer empty = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(empty, (byte) 2, 4_000, (short) 7, 42, 500, 509, 3, TimestampType.CREATE_TIME, NOW, true, false);
        empty.flip();
        emit("emptied-by-compaction", (byte) 2, "none", empty);
    }

    private static void mixedSets() throws Exception {
        ByteBuffer several = ByteBuffer.allocate(4_096);
        ByteBuffer magics = ByteBuffer.allocate(4_096);
        long offset = 0;
        for (CompressionType codec : CompressionType.values()) {
            Batch batch = new Batch((byte) 2, codec).at(offset).leaderEpoch((int) offset);
            several.put(batch.build(b -> {
                b.append(NOW, bytes("k"), bytes("one of " + codec));
                b.append(NOW, bytes("k"), bytes("two of " + codec));
            }));
            offset += 2;
        }
        for (byte magic = 0; magic <= 2; magic++) {
            byte of = magic;
            for (CompressionType codec : List.of(CompressionType.NONE, CompressionType.GZIP)) {
                magics.put(new Batch(magic, codec).at(offset).build(b -> {
                    b.append(time(of, 0), bytes("k"), bytes("one"));
                    b.append(time(of, 1), bytes("k"), bytes("two"));
                }));
                offset += 2;
            }
        }
        emit("several-batches", (byte) 2, "mixed", several.flip());
        emit("several-magics", (byte) 2, "mixed", magics.flip());
    }

    /** How to build one batch (or, below magic 2, one message set). */
    private static final class Batch {
        private final byte magic;
        private final CompressionType codec;
        private long baseOffset = 0;
        private TimestampType timestampType;
        private long logAppendTime = NONE;
        private long producerId = RecordBatch.NO_PRODUCER_ID;
        private short producerEpoch = RecordBatch.NO_PRODUCER_EPOCH;
        private int baseSequence = RecordBatch.NO_SEQUENCE;
        private boolean transactional = false;
        private int leaderEpoch = RecordBatch.NO_PARTITION_LEADER_EPOCH;
        private long deleteHorizonMs = NONE;

        Batch(byte magic, CompressionType codec) {
            this.magic = magic;
            this.codec = codec;
            this.timestampType = magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.CREATE_TIME;
        }

        Batch at(long offset) {
            baseOffset = offset;
            return this;
        }

        Batch logAppendTime(long at) {
            timestampType = TimestampType.LOG_APPEND_TIME;
            logAppendTime = at;
            return this;
        }

        Batch producer(long id, short epoch, int sequence, boolean isTransactional) {
            producerId = id;
            producerEpoch = epoch;
            baseSequence = sequence;
            transactional = isTransactional;
            return this;
        }

        Batch leaderEpoch(int epoch) {
            leaderEpoch = epoch;
            return this;
        }

        Batch deleteHorizon(long atMs) {
            deleteHorizonMs = atMs;
            return this;
        }

        ByteBuffer build(Consumer<MemoryRecordsBuilder> content) {
            MemoryRecordsBuilder builder = new MemoryRecordsBuilder(
                new ByteBufferOutputStream(1_024), magic, Compression.of(codec).build(), timestampType, baseOffset,
                logAppendTime, producerId, producerEpoch, baseSequence, transactional, false, leaderEpoch,
                1_000_000, deleteHorizonMs);
            content.accept(builder);
            return builder.build().buffer().duplicate();
        }
    }

    private static void emit(String name, Batch batch, Consumer<MemoryRecordsBuilder> content) throws Exception {
        emit(name, batch.magic, batch.codec.name, batch.build(content));
    }

    private static void emit(String name, byte magic, String codec, ByteBuffer set) throws Exception {
        byte[] bytes = new byte[set.remaining()];
        set.duplicate().get(bytes);
        ObjectNode line = JSON.createObjectNode().put("case", name).put("magic", magic).put("codec", codec);
        ArrayNode batches = line.putArray("batches");
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            describe(batch, batches.addObject());
        }
        line.put("bytes", HexFormat.of().formatHex(bytes));
        OUT.println(JSON.writeValueAsString(line));
    }

    private static void describe(RecordBatch batch, ObjectNode to) {
        to.put("magic", batch.magic())
            .put("size_bytes", batch.sizeInBytes())
            .put("base_offset", batch.baseOffset())
            .put("last_offset", batch.lastOffset())
            .put("compression", batch.compressionType().name)
            .put("timestamp_type", batch.timestampType().name)
            .put("max_timestamp_ms", batch.maxTimestamp())
            .put("crc", batch.checksum());
        if (batch.magic() == 2) {
            to.put("partition_leader_epoch", batch.partitionLeaderEpoch())
                .put("producer_id", batch.producerId())
                .put("producer_epoch", batch.producerEpoch())
                .put("base_sequence", batch.baseSequence())
                .put("last_sequence", batch.lastSequence())
                .put("is_transactional", batch.isTransactional())
                .put("is_control", batch.isControlBatch())
                .put("record_count", batch.countOrNull());
            if (batch.deleteHorizonMs().isPresent()) {
                to.put("delete_horizon_ms", batch.deleteHorizonMs().getAsLong());
            } else {
                to.putNull("delete_horizon_ms");
            }
        }
        ArrayNode records = to.putArray("records");
        for (Record record : batch) {
            ObjectNode one = records.addObject()
                .put("offset", record.offset())
                .put("timestamp_ms", record.timestamp())
                .put("key", hex(record.key()))
                .put("value", hex(record.value()));
            ArrayNode headers = one.putArray("headers");
            for (Header header : record.headers()) {
                byte[] value = header.value();
                headers.addArray().add(header.key()).add(value == null ? null : HexFormat.of().formatHex(value));
            }
        }
    }

    private static long time(byte magic, long after) {
        return magic == 0 ? NONE : NOW + after;
    }

    private static Header header(String key, byte[] value) {
        return new RecordHeader(key, value);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Bytes that no codec stores as they are, and that still take little room in the corpus. */
    private static byte[] repeated(int length) {
        byte[] pattern = new byte[997];
        new Random(1).nextBytes(pattern);
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = pattern[i % pattern.length];
        }
        return bytes;
    }

    private static String hex(ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
