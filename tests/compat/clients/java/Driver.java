import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Java's kafka-clients, every release from 1.1: compiled once against each, so it calls only what all of them have. CONTRACT.md
 * says what it must do.
 */
public final class Driver {
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
        Contract.endAtDeadline((long) (Double.parseDouble(options.get("--deadline-s")) * 1000));
        try {
            new Driver(options).run(arguments[0]);
        } catch (Throwable failure) {
            failure.printStackTrace();
            Contract.fail(failure.toString());
        }
        Contract.emit(Contract.event("done"));
        Contract.end(0);
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
                new Copier(options).copy();
                break;
            case "relay":
                new Copier(options).relay();
                break;
            case "flow":
                new Flow(options).flow();
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
        BufferedReader stdin = Contract.stdin();
        for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
            records.add(Contract.parse(line));
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
                JsonObject acked = Contract.event("acked");
                acked.addProperty("partition", metadata.partition());
                acked.addProperty("offset", metadata.offset());
                Contract.emit(acked);
            }
        }
    }

    private ProducerRecord<byte[], byte[]> producerRecord(JsonObject record) {
        JsonElement timestamp = record.get("timestamp_ms");
        List<Header> headers = new ArrayList<>();
        for (JsonElement pair : record.getAsJsonArray("headers")) {
            JsonArray header = pair.getAsJsonArray();
            headers.add(new RecordHeader(header.get(0).getAsString(), Contract.bytes(header.get(1))));
        }
        return new ProducerRecord<>(
                topic,
                record.get("partition").getAsInt(),
                timestamp.isJsonNull() ? null : timestamp.getAsLong(),
                Contract.bytes(record.get("key")),
                Contract.bytes(record.get("value")),
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
        try (KafkaConsumer<byte[], byte[]> consumer = Consumers.consumer(options, config)) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            while (wanted > 0) {
                wanted -= Consumers.poll(consumer);
            }
        }
    }

    private void join() throws Exception {
        ConcurrentLinkedQueue<JsonObject> commands = Contract.commands();
        Map<String, Object> config = Consumers.membership(options);
        for (Map.Entry<String, JsonElement> entry : Contract.variable("DATACORE_COMPAT_CONFIG").entrySet()) {
            config.put(entry.getKey(), entry.getValue().getAsString());
        }
        if ("consumer".equals(config.get("group.protocol"))) {
            // The broker says both then (KIP-848).
            config.remove("session.timeout.ms");
            config.remove("heartbeat.interval.ms");
        }
        try (KafkaConsumer<byte[], byte[]> consumer = Consumers.consumer(options, config)) {
            subscribe(consumer, System.getenv("DATACORE_COMPAT_PATTERN"));
            while (true) {
                Consumers.poll(consumer);
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

    private boolean idempotent() {
        return Boolean.parseBoolean(options.get("--idempotent"));
    }

    private void offsets() {
        Map<TopicPartition, Long> times = new HashMap<>();
        for (int index = 0; index < Integer.parseInt(options.get("--partitions")); index++) {
            times.put(new TopicPartition(topic, index), Long.parseLong(options.get("--at-ms")));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = Consumers.consumer(options, new HashMap<>())) {
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
            JsonObject told = Contract.event("offsets");
            told.add("beginning", beginning);
            told.add("end", end);
            told.add("at", at);
            Contract.emit(told);
        }
    }

    private void admin() throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        try (AdminClient client = AdminClient.create(config)) {
            TopicAdmin admin = new TopicAdmin(client, topic);
            BufferedReader stdin = Contract.stdin();
            for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
                Contract.emit(admin.administrate(Contract.parse(line)));
            }
        }
    }

    private void commit(KafkaConsumer<byte[], byte[]> consumer, JsonObject offsets) {
        Map<TopicPartition, OffsetAndMetadata> chosen = new HashMap<>();
        for (Map.Entry<String, JsonElement> entry : offsets.entrySet()) {
            TopicPartition partition = new TopicPartition(topic, Integer.parseInt(entry.getKey()));
            chosen.put(partition, new OffsetAndMetadata(entry.getValue().getAsLong()));
        }
        consumer.commitSync(chosen);
        JsonObject committed = Contract.event("committed");
        committed.add("offsets", offsets);
        Contract.emit(committed);
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
            JsonObject assigned = Contract.event("assigned");
            assigned.add("partitions", partitions);
            Contract.emit(assigned);
        }
    }
}
