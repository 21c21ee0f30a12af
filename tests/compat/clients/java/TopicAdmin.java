import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.config.ConfigResource;

/** The driver's part that looks after a topic, on every release's AdminClient. */
final class TopicAdmin {
    private final AdminClient admin;
    private final String topic;

    TopicAdmin(AdminClient admin, String topic) {
        this.admin = admin;
        this.topic = topic;
    }

    /** Does what one command of the contract says; its answer. */
    JsonObject administrate(JsonObject command) throws Exception {
        switch (command.get("do").getAsString()) {
            case "create":
                int partitions = command.get("partitions").getAsInt();
                Map<String, String> wanted = texts(command.getAsJsonObject("configs"));
                NewTopic created = new NewTopic(topic, partitions, (short) 1).configs(wanted);
                admin.createTopics(Collections.singleton(created)).all().get();
                return Contract.event("created");
            case "describe":
                return describe(command.getAsJsonArray("configs"));
            case "alter":
                alter(texts(command.getAsJsonObject("configs")));
                return Contract.event("altered");
            case "delete":
                admin.deleteTopics(Collections.singleton(topic)).all().get();
                return Contract.event("deleted");
            default:
                JsonArray topics = new JsonArray();
                admin.listTopics().names().get().forEach(topics::add);
                JsonObject answer = Contract.event("listed");
                answer.add("topics", topics);
                return answer;
        }
    }

    private JsonObject describe(JsonArray names) throws Exception {
        // values() went with 4.0, topicNameValues() came with 3.1.
        Object described = admin.describeTopics(Collections.singleton(topic));
        Method values;
        try {
            values = described.getClass().getMethod("topicNameValues");
        } catch (NoSuchMethodException before31) {
            values = described.getClass().getMethod("values");
        }
        Object future = ((Map<?, ?>) values.invoke(described)).get(topic);
        TopicDescription description = (TopicDescription) ((KafkaFuture<?>) future).get();
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = admin.describeConfigs(Collections.singleton(resource)).all().get().get(resource);
        JsonObject configs = new JsonObject();
        for (JsonElement name : names) {
            configs.addProperty(name.getAsString(), config.get(name.getAsString()).value());
        }
        JsonObject answer = Contract.event("described");
        answer.addProperty("partitions", description.partitions().size());
        answer.add("configs", configs);
        return answer;
    }

    /** alterConfigs went with 4.0, incrementalAlterConfigs came with 2.3 (KIP-339). */
    private void alter(Map<String, String> configs) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        List<Object> changes = new ArrayList<>();
        Object change;
        String method;
        try {
            Class<?> operation = Class.forName("org.apache.kafka.clients.admin.AlterConfigOp");
            Class<?> type = Class.forName("org.apache.kafka.clients.admin.AlterConfigOp$OpType");
            for (Map.Entry<String, String> config : configs.entrySet()) {
                changes.add(operation
                        .getConstructor(ConfigEntry.class, type)
                        .newInstance(new ConfigEntry(config.getKey(), config.getValue()), type.getField("SET").get(null)));
            }
            change = changes;
            method = "incrementalAlterConfigs";
        } catch (ClassNotFoundException before23) {
            List<ConfigEntry> entries = new ArrayList<>();
            configs.forEach((name, value) -> entries.add(new ConfigEntry(name, value)));
            change = new Config(entries);
            method = "alterConfigs";
        }
        Object altered = AdminClient.class.getMethod(method, Map.class)
                .invoke(admin, Collections.singletonMap(resource, change));
        ((KafkaFuture<?>) altered.getClass().getMethod("all").invoke(altered)).get();
    }

    private static Map<String, String> texts(JsonObject object) {
        Map<String, String> texts = new HashMap<>();
        object.entrySet().forEach(entry -> texts.put(entry.getKey(), entry.getValue().getAsString()));
        return texts;
    }
}
