import com.google.gson.JsonObject;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.IntPredicate;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The driver's part that copies a topic in transactions. */
final class Copier {
    private final Map<String, String> options;
    private final String topic;

    Copier(Map<String, String> options) {
        this.options = options;
        this.topic = options.get("--topic");
    }

    /** Once, after a transaction that is aborted. */
    void copy() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = transactional()) {
            producer.beginTransaction();
            byte[] value = "aborted".getBytes(StandardCharsets.UTF_8);
            producer.send(new ProducerRecord<>(options.get("--to"), 0, null, value)).get();
            producer.abortTransaction();
        }
        int[] wanted = {Integer.parseInt(options.get("--count"))};
        copyWhile(count -> (wanted[0] -= count) > 0);
    }

    /** Until told to leave; whatever fails is begun anew. */
    void relay() throws Exception {
        ConcurrentLinkedQueue<JsonObject> commands = Contract.commands();
        while (true) {
            try {
                copyWhile(count -> {
                    if (count > 0) {
                        JsonObject copied = Contract.event("copied");
                        copied.addProperty("count", count);
                        Contract.emit(copied);
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
                KafkaConsumer<byte[], byte[]> consumer = Consumers.consumer(options, Consumers.membership(options))) {
            consumer.subscribe(Collections.singletonList(topic));
            ConsumerRecords<byte[], byte[]> records;
            do {
                records = Consumers.pollOnce(consumer);
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
}
