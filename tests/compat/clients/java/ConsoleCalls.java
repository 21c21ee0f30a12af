import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * What web consoles show and do, page by page, with the calls of Admin that they make for it:
 * cluster, brokers, log directories, topics with sizes, configs, groups with lag; then topics are
 * altered, emptied and made again, and offsets are set back. A line is a page: a tab between its
 * name and what it shows.
 *
 * Usage: ConsoleCalls <bootstrap> <log dir> <milliseconds until a change has settled>
 */
public final class ConsoleCalls {
    private static final List<String> TOPICS = List.of("orders", "payments");

    private final Admin admin;
    private final String bootstrap;
    private final long settlingMs;

    private ConsoleCalls(String bootstrap, long settlingMs) {
        this.bootstrap = bootstrap;
        this.settlingMs = settlingMs;
        this.admin = Admin.create(settings());
    }

    public static void main(String[] arguments) throws Exception {
        ConsoleCalls calls = new ConsoleCalls(arguments[0], Long.parseLong(arguments[2]));
        calls.prepare();
        calls.clusterPage();
        calls.topicsPage("topics");
        calls.topicPage();
        calls.groupsPage("groups");
        calls.changeTopics();
        calls.changeGroups();
        System.out.println("end\tdone");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void prepare() throws Exception {
        admin.createTopics(List.of(
            new NewTopic("orders", 3, (short) 1).configs(Map.of("retention.ms", "600000000")),
            new NewTopic("payments", 1, (short) 1))).all().get();
        Thread.sleep(settlingMs);
        Properties settings = settings();
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (int number = 0; number < 30; number++) {
                producer.send(new ProducerRecord<>(
                    "orders", number % 3, 1_700_000_000_000L + number, "k" + number, "v")).get();
            }
            producer.send(new ProducerRecord<>("payments", "k", "v")).get();
        }
        settings = settings();
        settings.put("group.id", "billing");
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
            consumer.subscribe(List.of("orders"));
            for (int read = 0; read < 30;) {
                read += consumer.poll(Duration.ofMillis(200)).count();
            }
            Map<TopicPartition, OffsetAndMetadata> read = new HashMap<>();
            for (int partition = 0; partition < 3; partition++) {
                read.put(new TopicPartition("orders", partition),
                    new OffsetAndMetadata(4 + partition));
            }
            consumer.commitSync(read);
        }
    }

    private void clusterPage() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        Collection<Node> nodes = cluster.nodes().get();
        page("cluster", nodes.size(), cluster.controller().get().id(),
            cluster.clusterId().get().isEmpty());
        List<ConfigResource> brokers = nodes.stream()
            .map(node -> new ConfigResource(ConfigResource.Type.BROKER, node.idString())).toList();
        Map<ConfigResource, Config> configs = admin.describeConfigs(brokers).all().get();
        page("brokers: a config", configs.get(brokers.get(0)).get("num.io.threads").value(),
            configs.get(brokers.get(0)).get("log.retention.hours").value());
        Map<String, LogDirDescription> dirs =
            admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1);
        page("brokers: log dirs", dirs.size(), dirs.values().stream().allMatch(dir ->
            dir.error() == null && dir.totalBytes().getAsLong() > 0
                && dir.usableBytes().getAsLong() > 0));
        page("brokers: quorum", admin.describeMetadataQuorum().quorumInfo().get().leaderId());
        page("brokers: features", admin.describeFeatures().featureMetadata().get()
            .finalizedFeatures().containsKey("metadata.version"));
    }

    private void topicsPage(String name) throws Exception {
        Set<String> names = admin.listTopics(new ListTopicsOptions().listInternal(true))
            .names().get();
        Map<String, TopicDescription> described =
            admin.describeTopics(names).allTopicNames().get();
        List<ConfigResource> resources = names.stream()
            .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic)).toList();
        Map<ConfigResource, Config> configs = admin.describeConfigs(resources).all().get();
        Map<TopicPartition, Long> sizes = new HashMap<>();
        admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().forEach(dir ->
            dir.replicaInfos().forEach((partition, info) -> sizes.put(partition, info.size())));
        for (String topic : TOPICS) {
            if (!described.containsKey(topic)) {
                page(name + ": " + topic, "gone");
                continue;
            }
            List<TopicPartition> partitions = partitionsOf(described.get(topic));
            Map<TopicPartition, Long> earliest = offsets(partitions, OffsetSpec.earliest());
            Map<TopicPartition, Long> latest = offsets(partitions, OffsetSpec.latest());
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            page(name + ": " + topic, partitions.size(), described.get(topic).isInternal(),
                configs.get(resource).get("cleanup.policy").value(),
                configs.get(resource).get("retention.ms").value(),
                partitions.stream().map(each -> latest.get(each) - earliest.get(each)).toList(),
                // Kafka counts whole files: also what lies in them before the log's start.
                partitions.stream().allMatch(each ->
                    sizes.get(each) > 0 || latest.get(each).equals(earliest.get(each))));
        }
        page(name + ": internal", names.stream().filter(topic -> topic.startsWith("__consumer"))
            .map(topic -> topic + " " + described.get(topic).isInternal()).toList());
    }

    private void topicPage() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "orders");
        Config config = admin.describeConfigs(List.of(resource),
            new DescribeConfigsOptions().includeSynonyms(true)).all().get().get(resource);
        page("topic: configs", config.entries().stream().map(entry -> entry.name() + "="
            + entry.value() + " " + entry.source() + " " + entry.isReadOnly()).sorted().toList());
        page("topic: producers", admin.describeProducers(List.of(new TopicPartition("orders", 0)))
            .all().get().values().iterator().next().activeProducers().size());
    }

    private void groupsPage(String name) throws Exception {
        List<String> groups = admin.listConsumerGroups().all().get().stream()
            .map(ConsumerGroupListing::groupId).sorted().toList();
        Map<String, ConsumerGroupDescription> described =
            admin.describeConsumerGroups(groups).all().get();
        for (String group : groups) {
            Map<TopicPartition, OffsetAndMetadata> committed = admin
                .listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            Map<TopicPartition, Long> latest =
                offsets(List.copyOf(committed.keySet()), OffsetSpec.latest());
            TreeMap<String, String> lags = new TreeMap<>();
            committed.forEach((partition, offset) -> lags.put(partition.toString(),
                offset.offset() + " lag " + (latest.get(partition) - offset.offset())));
            page(name + ": " + group, described.get(group).groupState(),
                described.get(group).members().size(), lags);
        }
        page(name + ": all", groups);
    }

    private void changeTopics() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "orders");
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(
            new ConfigEntry("retention.ms", "86400000"), AlterConfigOp.OpType.SET)))).all().get();
        admin.createPartitions(Map.of("orders", NewPartitions.increaseTo(4))).all().get();
        TopicPartition first = new TopicPartition("orders", 0);
        page("purged", admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(-1)))
            .lowWatermarks().get(first).get().lowWatermark());
        Thread.sleep(settlingMs);
        topicsPage("altered");
        admin.deleteTopics(List.of("payments")).all().get();
        Thread.sleep(settlingMs);
        topicsPage("deleted");
        admin.createTopics(List.of(new NewTopic("payments", 2, (short) 1))).all().get();
        Thread.sleep(settlingMs);
        topicsPage("made again");
    }

    private void changeGroups() throws Exception {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int partition = 0; partition < 3; partition++) {
            partitions.add(new TopicPartition("orders", partition));
        }
        for (Map.Entry<String, OffsetSpec> target : new TreeMap<>(Map.of(
                "to earliest", OffsetSpec.earliest(), "to latest", OffsetSpec.latest(),
                "to a time", OffsetSpec.forTimestamp(1_700_000_000_015L))).entrySet()) {
            Map<TopicPartition, OffsetAndMetadata> wanted =
                offsets(partitions, target.getValue()).entrySet().stream().filter(
                    each -> each.getValue() >= 0).collect(Collectors.toMap(
                    Map.Entry::getKey, each -> new OffsetAndMetadata(each.getValue())));
            admin.alterConsumerGroupOffsets("billing", wanted).all().get();
            groupsPage("reset " + target.getKey());
        }
        admin.deleteConsumerGroupOffsets("billing", Set.of(partitions.get(0))).all().get();
        groupsPage("forgotten");
        admin.deleteConsumerGroups(List.of("billing")).all().get();
        groupsPage("deleted groups");
    }

    private Map<TopicPartition, Long> offsets(List<TopicPartition> partitions, OffsetSpec spec)
            throws Exception {
        Map<TopicPartition, OffsetSpec> asked =
            partitions.stream().collect(Collectors.toMap(each -> each, each -> spec));
        Map<TopicPartition, Long> found = new HashMap<>();
        admin.listOffsets(asked).all().get().forEach(
            (partition, offset) -> found.put(partition, offset.offset()));
        return found;
    }

    private static List<TopicPartition> partitionsOf(TopicDescription topic) {
        return topic.partitions().stream()
            .map(each -> new TopicPartition(topic.name(), each.partition())).toList();
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    private static void page(String name, Object... shown) {
        System.out.println(name + "\t" + List.of(shown));
    }
}
