import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Timer;
import java.util.TimerTask;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.IntPredicate;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Java's kafka-clients, every release from 1.1: compiled once against each, so it calls only what all of them have. CONTRACT.md
 * says what it must do.
 */
public final class Driver {
    private static final long POLL_MS = 100;
    private static final PrintStream OUT = utf8Stdout();

    private final Map<String, String> options;
    private final String topic;

    private Driver(Map<String, String> options) {
        this.options = options;
        this.topic = options.get("--topic");
    }

    public static void main(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int at = 1; at + 1 < arguments.length; at += 2) {
            options.put(arguments[at], arguments[at + 1]);
        }
        endAtDeadline((long) (Double.parseDouble(options.get("--deadline-s")) * 1000));
        try {
            new Driver(options).run(arguments[0]);
        } catch (Throwable failure) {
            failure.printStackTrace();
            fail(failure.toString());
        }
        emit(event("done"));
        end(0);
    }

    private void run(String action) throws Exception {
        switch (action) {
            case "produce":
                produce();
                break;
            case "consume":
                consume();
                break;
            case "join":
                join();
                break;
            case "copy":
                copy();
                break;
            case "relay":
                relay();
                break;
            case "flow":
                flow();
                break;
            case "offsets":
                offsets();
                break;
            case "admin":
                admin();
                break;
            default:
                throw new IllegalArgumentException(action);
        }
    }

    private void produce() throws Exception {
        List<JsonObject> records = new ArrayList<>();
        BufferedReader stdin = stdin();
        for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
            records.add(parse(line));
        }
        int from = 0;
        while (from < records.size()) {
            String codec = records.get(from).get("codec").getAsString();
            int to = from;
            while (to < records.size() && records.get(to).get("codec").getAsString().equals(codec)) {
                to++;
            }
            produceWith(codec, records.subList(from, to));
            from = to;
        }
    }

    private void produceWith(String codec, List<JsonObject> records) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("acks", "all");
        config.put("compression.type", codec);
        config.put("linger.ms", 20); // so that neighbours share a batch
        config.put("retries", 3); // before 2.1 the default is none
        config.put("enable.idempotence", idempotent());
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (JsonObject record : records) {
                sent.add(producer.send(producerRecord(record)));
            }
            for (Future<RecordMetadata> future : sent) {
                RecordMetadata metadata = future.get();
                JsonObject acked = event("acked");
                acked.addProperty("partition", metadata.partition());
                acked.addProperty("offset", metadata.offset());
                emit(acked);
            }
        }
    }

    private ProducerRecord<byte[], byte[]> producerRecord(JsonObject record) {
        JsonElement timestamp = record.get("timestamp_ms");
        List<Header> headers = new ArrayList<>();
        for (JsonElement pair : record.getAsJsonArray("headers")) {
            JsonArray header = pair.getAsJsonArray();
            headers.add(new RecordHeader(header.get(0).getAsString(), bytes(header.get(1))));
        }
        return new ProducerRecord<>(
                topic,
                record.get("partition").getAsInt(),
                timestamp.isJsonNull() ? null : timestamp.getAsLong(),
                bytes(record.get("key")),
                bytes(record.get("value")),
                headers);
    }

    private void consume() throws Exception {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int index = 0; index < Integer.parseInt(options.get("--partitions")); index++) {
            partitions.add(new TopicPartition(topic, index));
        }
        int wanted = Integer.parseInt(options.get("--count"));
        Map<String, Object> config = new HashMap<>();
        config.put("isolation.level", "read_committed");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(config)) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (wanted > 0) {
                wanted -= poll(consumer);
            }
        }
    }

    private void join() throws Exception {
        ConcurrentLinkedQueue<JsonObject> commands = commands();
        Map<String, Object> config = membership();
        for (Map.Entry<String, JsonElement> entry : variable("DATACORE_COMPAT_CONFIG").entrySet()) {
            config.put(entry.getKey(), entry.getValue().getAsString());
        }
        if ("consumer".equals(config.get("group.protocol"))) {
            // The broker says both then (KIP-848).
            config.remove("session.timeout.ms");
            config.remove("heartbeat.interval.ms");
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(config)) {
            subscribe(consumer, System.getenv("DATACORE_COMPAT_PATTERN"));
            while (true) {
                poll(consumer);
                JsonObject command = commands.poll();
                if (command == null) {
                    continue;
                }
                if (command.get("do").getAsString().equals("leave")) {
                    return;
                }
                commit(consumer, command.getAsJsonObject("offsets"));
            }
        }
    }

    private Map<String, Object> membership() {
        Map<String, Object> config = new HashMap<>();
        config.put("group.id", options.get("--group"));
        config.put("auto.offset.reset", "earliest");
        config.put("isolation.level", "read_committed");
        config.put("session.timeout.ms", 6_000);
        config.put("heartbeat.interval.ms", 300);
        if (options.containsKey("--instance")) {
            config.put("group.instance.id", options.get("--instance"));
            // It is to be back before, and on a busy machine a JVM takes seconds to start.
            config.put("session.timeout.ms", 30_000);
        }
        return config;
    }

    /** SubscriptionPattern came with 4.0. */
    private void subscribe(KafkaConsumer<byte[], byte[]> consumer, String pattern) throws Exception {
        Listener listener = new Listener(consumer);
        if (pattern == null) {
            consumer.subscribe(Collections.singletonList(topic), listener);
            return;
        }
        Class<?> type = Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
        Object wanted = type.getConstructor(String.class).newInstance(pattern);
        KafkaConsumer.class
                .getMethod("subscribe", type, ConsumerRebalanceListener.class)
                .invoke(consumer, wanted, listener);
    }

    private static JsonObject variable(String name) {
        String text = System.getenv(name);
        return parse(text == null ? "{}" : text);
    }

    private void copy() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = transactional()) {
            producer.beginTransaction();
            byte[] value = "aborted".getBytes(StandardCharsets.UTF_8);
            producer.send(new ProducerRecord<>(options.get("--to"), 0, null, value)).get();
            producer.abortTransaction();
        }
        int[] wanted = {Integer.parseInt(options.get("--count"))};
        copyWhile(count -> (wanted[0] -= count) > 0);
    }

    private void relay() throws Exception {
        ConcurrentLinkedQueue<JsonObject> commands = commands();
        while (true) {
            try {
                copyWhile(count -> {
                    if (count > 0) {
                        JsonObject copied = event("copied");
                        copied.addProperty("count", count);
                        emit(copied);
                    }
                    return commands.isEmpty();
                });
                return;
            } catch (Exception failure) {
                failure.printStackTrace();
            }
        }
    }

    /** Copies from what is committed on, as long as it is told to go on after a transaction or an empty poll. */
    private void copyWhile(IntPredicate goOn) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = transactional();
                KafkaConsumer<byte[], byte[]> consumer = consumer(membership())) {
            consumer.subscribe(Collections.singletonList(topic));
            ConsumerRecords<byte[], byte[]> records;
            do {
                records = pollOnce(consumer);
                if (!records.isEmpty()) {
                    copyOnce(producer, consumer, records);
                }
            } while (goOn.test(records.count()));
        }
    }

    private void copyOnce(
            KafkaProducer<byte[], byte[]> producer,
            KafkaConsumer<byte[], byte[]> consumer,
            ConsumerRecords<byte[], byte[]> records)
            throws Exception {
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            producer.send(
                    new ProducerRecord<>(options.get("--to"), record.partition(), record.key(), record.value()));
            offsets.put(new TopicPartition(topic, record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        sendOffsets(producer, consumer, offsets);
        producer.commitTransaction();
    }

    private KafkaProducer<byte[], byte[]> transactional() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("transactional.id", options.get("--group"));
        KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        return producer;
    }

    private void flow() throws Exception {
        ConcurrentLinkedQueue<JsonObject> commands = commands();
        int partitions = Integer.parseInt(options.get("--partitions"));
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("acks", "all");
        config.put("enable.idempotence", idempotent());
        config.put("retries", Integer.MAX_VALUE); // before 2.1 the default is none
        ArrayDeque<Numbered> waiting = new ArrayDeque<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int number = 0; commands.isEmpty(); number++) {
                waiting.add(send(producer, number, partitions));
                if (number % 20 == 19) {
                    Thread.sleep(5); // what is read again and compared afterwards has to stay within reason
                }
                if (waiting.size() >= 100) {
                    settle(producer, waiting.remove(), partitions);
                }
            }
            while (!waiting.isEmpty()) {
                settle(producer, waiting.remove(), partitions);
            }
        }
    }

    /** One number of a flow on its way. */
    private static final class Numbered {
        private final int number;
        private final Future<RecordMetadata> sent;

        private Numbered(int number, Future<RecordMetadata> sent) {
            this.number = number;
            this.sent = sent;
        }
    }

    private Numbered send(KafkaProducer<byte[], byte[]> producer, int number, int partitions) {
        byte[] value = Integer.toString(number).getBytes(StandardCharsets.UTF_8);
        return new Numbered(number, producer.send(new ProducerRecord<>(topic, number % partitions, null, value)));
    }

    private void settle(KafkaProducer<byte[], byte[]> producer, Numbered first, int partitions) throws Exception {
        Numbered waiting = first;
        while (true) {
            try {
                RecordMetadata metadata = waiting.sent.get();
                JsonObject acked = event("acked");
                acked.addProperty("number", waiting.number);
                acked.addProperty("partition", metadata.partition());
                acked.addProperty("offset", metadata.offset());
                emit(acked);
                return;
            } catch (ExecutionException failure) {
                if (idempotent()) {
                    throw failure;
                }
                waiting = send(producer, waiting.number, partitions);
            }
        }
    }

    private boolean idempotent() {
        return Boolean.parseBoolean(options.get("--idempotent"));
    }

    private void offsets() {
        Map<TopicPartition, Long> times = new HashMap<>();
        for (int index = 0; index < Integer.parseInt(options.get("--partitions")); index++) {
            times.put(new TopicPartition(topic, index), Long.parseLong(options.get("--at-ms")));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(new HashMap<>())) {
            JsonObject beginning = new JsonObject();
            consumer.beginningOffsets(times.keySet())
                    .forEach((partition, offset) -> beginning.addProperty("" + partition.partition(), offset));
            JsonObject end = new JsonObject();
            consumer.endOffsets(times.keySet())
                    .forEach((partition, offset) -> end.addProperty("" + partition.partition(), offset));
            JsonObject at = new JsonObject();
            consumer.offsetsForTimes(times)
                    .forEach((partition, found) ->
                            at.addProperty("" + partition.partition(), found == null ? null : found.offset()));
            JsonObject told = event("offsets");
            told.add("beginning", beginning);
            told.add("end", end);
            told.add("at", at);
            emit(told);
        }
    }

    private void admin() throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        try (AdminClient client = AdminClient.create(config)) {
            TopicAdmin admin = new TopicAdmin(client, topic);
            BufferedReader stdin = stdin();
            for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
                emit(admin.administrate(parse(line)));
            }
        }
    }

    /** The member's own metadata came with 2.5 (KIP-447), the group's id alone went with 4.0. */
    private void sendOffsets(
            KafkaProducer<byte[], byte[]> producer,
            KafkaConsumer<byte[], byte[]> consumer,
            Map<TopicPartition, OffsetAndMetadata> offsets)
            throws Exception {
        Object member = options.get("--group");
        Class<?> type = String.class;
        try {
            Method groupMetadata = KafkaConsumer.class.getMethod("groupMetadata");
            member = groupMetadata.invoke(consumer);
            type = groupMetadata.getReturnType();
        } catch (NoSuchMethodException before25) {
            // The group's id it is.
        }
        try {
            KafkaProducer.class
                    .getMethod("sendOffsetsToTransaction", Map.class, type)
                    .invoke(producer, offsets, member);
        } catch (InvocationTargetException wrapped) {
            throw (Exception) wrapped.getCause();
        }
    }

    private void commit(KafkaConsumer<byte[], byte[]> consumer, JsonObject offsets) {
        Map<TopicPartition, OffsetAndMetadata> chosen = new HashMap<>();
        for (Map.Entry<String, JsonElement> entry : offsets.entrySet()) {
            TopicPartition partition = new TopicPartition(topic, Integer.parseInt(entry.getKey()));
            chosen.put(partition, new OffsetAndMetadata(entry.getValue().getAsLong()));
        }
        consumer.commitSync(chosen);
        JsonObject committed = event("committed");
        committed.add("offsets", offsets);
        emit(committed);
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> config) {
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("enable.auto.commit", false);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static int poll(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        ConsumerRecords<byte[], byte[]> records = pollOnce(consumer);
        for (ConsumerRecord<byte[], byte[]> record : records) {
            JsonObject seen = event("record");
            seen.addProperty("partition", record.partition());
            seen.addProperty("offset", record.offset());
            seen.addProperty("timestamp_ms", record.timestamp());
            seen.add("key", text(record.key()));
            seen.add("value", text(record.value()));
            JsonArray headers = new JsonArray();
            for (Header header : record.headers()) {
                JsonArray pair = new JsonArray();
                pair.add(header.key());
                pair.add(text(header.value()));
                headers.add(pair);
            }
            seen.add("headers", headers);
            emit(seen);
        }
        return records.count();
    }

    /** poll(Duration) came with 2.0 (KIP-266), poll(long) went with 4.0. */
    @SuppressWarnings("unchecked")
    private static ConsumerRecords<byte[], byte[]> pollOnce(KafkaConsumer<byte[], byte[]> consumer)
            throws Exception {
        try {
            return (ConsumerRecords<byte[], byte[]>) POLL.invoke(consumer, POLL_ARGUMENT);
        } catch (InvocationTargetException wrapped) {
            throw (Exception) wrapped.getCause();
        }
    }

    private static final Method POLL = pollMethod();
    private static final Object POLL_ARGUMENT =
            POLL.getParameterTypes()[0] == long.class ? (Object) POLL_MS : Duration.ofMillis(POLL_MS);

    private static Method pollMethod() {
        try {
            return KafkaConsumer.class.getMethod("poll", Duration.class);
        } catch (NoSuchMethodException before20) {
            try {
                return KafkaConsumer.class.getMethod("poll", long.class);
            } catch (NoSuchMethodException neither) {
                throw new IllegalStateException(neither);
            }
        }
    }

    /** Reports all that the consumer owns, since cooperative assignors announce only what is new. */
    private static final class Listener implements ConsumerRebalanceListener {
        private final KafkaConsumer<byte[], byte[]> consumer;

        private Listener(KafkaConsumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            // The harness commits only when the group is at rest.
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> added) {
            TreeSet<Integer> owned = new TreeSet<>();
            for (TopicPartition partition : consumer.assignment()) {
                owned.add(partition.partition());
            }
            JsonArray partitions = new JsonArray();
            owned.forEach(partitions::add);
            JsonObject assigned = event("assigned");
            assigned.add("partitions", partitions);
            emit(assigned);
        }
    }

    /** What the harness asks of a group member, read beside the consumer's loop; the end of stdin is a wish to leave. */
    private static ConcurrentLinkedQueue<JsonObject> commands() {
        ConcurrentLinkedQueue<JsonObject> commands = new ConcurrentLinkedQueue<>();
        Thread reader = new Thread(() -> {
            try {
                BufferedReader stdin = stdin();
                for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
                    commands.add(parse(line));
                }
            } catch (Exception failure) {
                fail(failure.toString());
            }
            commands.add(parse("{\"do\": \"leave\"}"));
        });
        reader.setDaemon(true);
        reader.start();
        return commands;
    }

    private static void endAtDeadline(long deadlineMs) {
        new Timer(true).schedule(new TimerTask() {
            @Override
            public void run() {
                fail("deadline");
            }
        }, deadlineMs);
    }

    private static void fail(String reason) {
        JsonObject error = event("error");
        error.addProperty("reason", reason);
        emit(error);
        end(1);
    }

    /** Ends at once: a client's threads that do not end by themselves must not hold up the harness. */
    private static void end(int status) {
        OUT.flush();
        Runtime.getRuntime().halt(status);
    }

    static JsonObject event(String name) {
        JsonObject event = new JsonObject();
        event.addProperty("event", name);
        return event;
    }

    private static synchronized void emit(JsonObject event) {
        OUT.println(event); // JsonObject prints nulls, which Gson itself would leave out
        OUT.flush();
    }

    private static JsonObject parse(String line) {
        return JsonParser.parseString(line).getAsJsonObject();
    }

    private static byte[] bytes(JsonElement text) {
        return text.isJsonNull() ? null : Base64.getDecoder().decode(text.getAsString());
    }

    private static JsonElement text(byte[] content) {
        return content == null
                ? JsonNull.INSTANCE
                : new JsonPrimitive(Base64.getEncoder().encodeToString(content));
    }

    private static BufferedReader stdin() {
        return new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    }

    private static PrintStream utf8Stdout() {
        try {
            return new PrintStream(System.out, false, "UTF-8");
        } catch (java.io.UnsupportedEncodingException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
