import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The driver's consumers: made by its options, polled by whatever a release calls it. */
final class Consumers {
    private static final long POLL_MS = 100;
    private static final Method POLL = pollMethod();
    private static final Object POLL_ARGUMENT =
            POLL.getParameterTypes()[0] == long.class ? (Object) POLL_MS : Duration.ofMillis(POLL_MS);

    private Consumers() {}

    static KafkaConsumer<byte[], byte[]> consumer(Map<String, String> options, Map<String, Object> config) {
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("enable.auto.commit", false);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** What a group member is told. */
    static Map<String, Object> membership(Map<String, String> options) {
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

    /** Reports what one poll gives; how many records that was. */
    static int poll(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        ConsumerRecords<byte[], byte[]> records = pollOnce(consumer);
        for (ConsumerRecord<byte[], byte[]> record : records) {
            JsonObject seen = Contract.event("record");
            seen.addProperty("partition", record.partition());
            seen.addProperty("offset", record.offset());
            seen.addProperty("timestamp_ms", record.timestamp());
            seen.add("key", Contract.text(record.key()));
            seen.add("value", Contract.text(record.value()));
            JsonArray headers = new JsonArray();
            for (Header header : record.headers()) {
                JsonArray pair = new JsonArray();
                pair.add(header.key());
                pair.add(Contract.text(header.value()));
                headers.add(pair);
            }
            seen.add("headers", headers);
            Contract.emit(seen);
        }
        return records.count();
    }

    /** poll(Duration) came with 2.0 (KIP-266), poll(long) went with 4.0. */
    @SuppressWarnings("unchecked")
    static ConsumerRecords<byte[], byte[]> pollOnce(KafkaConsumer<byte[], byte[]> consumer)
            throws Exception {
        try {
            return (ConsumerRecords<byte[], byte[]>) POLL.invoke(consumer, POLL_ARGUMENT);
        } catch (InvocationTargetException wrapped) {
            throw (Exception) wrapped.getCause();
        }
    }

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
}
