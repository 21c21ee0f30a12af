import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The driver's part that sends numbers until told to leave. */
final class Flow {
    private final Map<String, String> options;
    private final String topic;
    private final boolean idempotent;
    private final int partitions;

    Flow(Map<String, String> options) {
        this.options = options;
        this.topic = options.get("--topic");
        this.idempotent = Boolean.parseBoolean(options.get("--idempotent"));
        this.partitions = Integer.parseInt(options.get("--partitions"));
    }

    void flow() throws Exception {
        ConcurrentLinkedQueue<JsonObject> commands = Contract.commands();
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("acks", "all");
        config.put("enable.idempotence", idempotent);
        config.put("retries", Integer.MAX_VALUE); // before 2.1 the default is none
        ArrayDeque<Numbered> waiting = new ArrayDeque<>();
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int number = 0; commands.isEmpty(); number++) {
                waiting.add(send(producer, number));
                if (number % 20 == 19) {
                    Thread.sleep(5); // what is read again and compared afterwards has to stay within reason
                }
                if (waiting.size() >= 100) {
                    settle(producer, waiting.remove());
                }
            }
            while (!waiting.isEmpty()) {
                settle(producer, waiting.remove());
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

    private Numbered send(KafkaProducer<byte[], byte[]> producer, int number) {
        byte[] value = Integer.toString(number).getBytes(StandardCharsets.UTF_8);
        return new Numbered(number, producer.send(new ProducerRecord<>(topic, number % partitions, null, value)));
    }

    private void settle(KafkaProducer<byte[], byte[]> producer, Numbered first) throws Exception {
        Numbered waiting = first;
        while (true) {
            try {
                RecordMetadata metadata = waiting.sent.get();
                JsonObject acked = Contract.event("acked");
                acked.addProperty("number", waiting.number);
                acked.addProperty("partition", metadata.partition());
                acked.addProperty("offset", metadata.offset());
                Contract.emit(acked);
                return;
            } catch (ExecutionException failure) {
                if (idempotent) {
                    throw failure;
                }
                waiting = send(producer, waiting.number);
            }
        }
    }
}
