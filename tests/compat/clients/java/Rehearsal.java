import java.io.ByteArrayInputStream;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Loads what the driver loads, with no broker there, and closes nothing, as that would wait for one: what the JVM then keeps of it (class data sharing) halves the time that a
 * start takes, and starting is most of what a driver does.
 */
public final class Rehearsal {
    private static final String NOBODY = "127.0.0.1:1";
    private static final String RECORD =
            "{\"partition\": 0, \"codec\": \"none\", \"key\": null, \"value\": \"\", \"headers\": [], \"timestamp_ms\": null}\n";

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", NOBODY);
        config.put("group.id", "rehearsal");
        new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())
                .subscribe(Collections.singletonList("rehearsal"));
        config.remove("group.id");
        AdminClient.create(config).listTopics();
        System.setIn(new ByteArrayInputStream(RECORD.getBytes("UTF-8")));
        // It ends the JVM, at its deadline.
        Driver.main(new String[] {"produce", "--bootstrap", NOBODY, "--topic", "rehearsal", "--deadline-s", "1"});
    }
}
