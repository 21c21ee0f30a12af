import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.serialization.*;

/**
 * Calls every method of Kafka's Admin that is not about security, share groups or streams groups,
 * and prints what came of it: one line a call, "method: words" and a tab between name and result.
 * What varies from run to run (ids, addresses, times) is left to the reader.
 *
 * Usage: AdminCalls <bootstrap> <log dir> <milliseconds until a change has settled>
 */
public final class AdminCalls {
    /** Of Admin, and of later work: security, share groups, streams groups. */
    private static final List<String> ELSEWHERE = List.of(
        "Acls", "DelegationToken", "UserScramCredentials", "ShareGroup", "StreamsGroup");
    private static final List<String> NO_CALLS = List.of("create", "close", "metrics");

    private interface Call {
        Object run() throws Exception;
    }

    private interface Part {
        void run() throws Exception;
    }

    /** Runs a part; where it breaks off, the others go on. */
    private static void part(String name, Part part) {
        String end = "done";
        try {
            part.run();
        } catch (Exception failed) {
            end = failed.getClass().getSimpleName();
        }
        System.out.println(name + "\t" + end);
    }

    private final Set<String> called = new TreeSet<>();
    private final String bootstrap;
    private final String logDir;
    private final long settlingMs;
    private final Admin admin;

    private AdminCalls(String bootstrap, String logDir, long settlingMs) {
        this.bootstrap = bootstrap;
        this.logDir = logDir;
        this.settlingMs = settlingMs;
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("request.timeout.ms", "10000");
        settings.put("default.api.timeout.ms", "10000");
        this.admin = Admin.create(settings);
    }

    public static void main(String[] arguments) throws Exception {
        AdminCalls calls =
            new AdminCalls(arguments[0], arguments[1], Long.parseLong(arguments[2]));
        part("cluster", calls::cluster);
        part("topics", calls::topics);
        part("configs", calls::configs);
        part("records", calls::records);
        part("replicas", calls::replicas);
        part("groups", calls::groups);
        part("consumerGroups", calls::consumerGroups);
        part("transactions", calls::transactions);
        part("quotas", calls::quotas);
        part("features", calls::features);
        part("deletions", calls::deletions);
        part("missing", calls::missing);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    // --- the parts

    private void cluster() {
        call("describeCluster: all", () -> {
            DescribeClusterResult found = admin.describeCluster(
                new DescribeClusterOptions().includeAuthorizedOperations(true));
            return List.of(found.nodes().get(), found.controller().get(), found.clusterId().get(),
                text(found.authorizedOperations().get()));
        });
        call("describeMetadataQuorum: leader", () -> {
            QuorumInfo found = admin.describeMetadataQuorum().quorumInfo().get();
            return List.of(found.leaderId(), found.voters().size(), found.observers().size(),
                found.voters().get(0).lastFetchTimestamp().isPresent(), found.nodes().keySet());
        });
        call("unregisterBroker: unknown", () -> admin.unregisterBroker(99).all().get());
        RaftVoterEndpoint endpoint = new RaftVoterEndpoint("CONTROLLER", "localhost", 9093);
        call("addRaftVoter: another", () ->
            admin.addRaftVoter(2, Uuid.ONE_UUID, Set.of(endpoint)).all().get());
        call("removeRaftVoter: another", () ->
            admin.removeRaftVoter(2, Uuid.ONE_UUID).all().get());
        call("clientInstanceId: of a broker that takes telemetry", () ->
            admin.clientInstanceId(Duration.ofSeconds(10)).toString().length());
        call("registerMetricForSubscription: none", () -> "not asked of a broker");
        call("unregisterMetricFromSubscription: none", () -> "not asked of a broker");
    }

    private void topics() {
        call("createTopics: counted", () -> {
            CreateTopicsResult made = admin.createTopics(List.of(
                new NewTopic("calls", 2, (short) 1).configs(Map.of("retention.ms", "60000"))));
            made.all().get();
            return List.of(made.numPartitions("calls").get(), made.replicationFactor("calls").get(),
                made.config("calls").get().get("retention.ms").value());
        });
        call("createTopics: by default", () -> admin.createTopics(
            List.of(new NewTopic("defaults", Optional.empty(), Optional.empty()))).all().get());
        call("createTopics: assigned", () -> admin.createTopics(
            List.of(new NewTopic("assigned", Map.of(0, List.of(1), 1, List.of(1))))).all().get());
        call("createTopics: validated", () -> admin.createTopics(
            List.of(new NewTopic("never", 3, (short) 1)),
            new CreateTopicsOptions().validateOnly(true)).numPartitions("never").get());
        call("createTopics: again", () -> admin.createTopics(
            List.of(new NewTopic("calls", 2, (short) 1))).all().get());
        settle();
        call("listTopics: names", () -> admin.listTopics().names().get());
        call("listTopics: internal too", () -> admin.listTopics(
            new ListTopicsOptions().listInternal(true)).listings().get().stream()
            .filter(topic -> !topic.isInternal()).map(TopicListing::name).sorted().toList());
        call("describeTopics: by name", () -> admin.describeTopics(List.of("calls"))
            .allTopicNames().get().values().iterator().next().partitions());
        call("describeTopics: by pages", () -> admin.describeTopics(
            List.of("calls", "assigned"),
            new DescribeTopicsOptions().partitionSizeLimitPerResponse(1))
            .allTopicNames().get().keySet());
        call("describeTopics: operations", () -> admin.describeTopics(List.of("calls"),
            new DescribeTopicsOptions().includeAuthorizedOperations(true))
            .allTopicNames().get().get("calls").authorizedOperations());
        call("describeTopics: by id", () -> {
            Uuid id = idOf("calls");
            return admin.describeTopics(TopicCollection.ofTopicIds(List.of(id)))
                .allTopicIds().get().get(id).name();
        });
        call("createPartitions: more", () ->
            admin.createPartitions(Map.of("calls", NewPartitions.increaseTo(3))).all().get());
        call("createPartitions: assigned", () -> admin.createPartitions(
            Map.of("calls", NewPartitions.increaseTo(4, List.of(List.of(1))))).all().get());
        call("createPartitions: validated", () -> admin.createPartitions(
            Map.of("calls", NewPartitions.increaseTo(9)),
            new CreatePartitionsOptions().validateOnly(true)).all().get());
        call("createPartitions: fewer", () ->
            admin.createPartitions(Map.of("calls", NewPartitions.increaseTo(1))).all().get());
        settle();
        call("describeTopics: widened", () -> admin.describeTopics(List.of("calls"))
            .allTopicNames().get().get("calls").partitions().size());
    }

    private void configs() {
        ConfigResource topic = new ConfigResource(Type.TOPIC, "calls");
        ConfigResource broker = new ConfigResource(Type.BROKER, "1");
        call("describeConfigs: of a topic", () -> entries(topic));
        call("incrementalAlterConfigs: set", () -> alter(topic,
            op("retention.bytes", "1000000", AlterConfigOp.OpType.SET),
            op("cleanup.policy", "compact", AlterConfigOp.OpType.APPEND)));
        call("incrementalAlterConfigs: deleted", () -> alter(topic,
            op("retention.ms", "", AlterConfigOp.OpType.DELETE),
            op("cleanup.policy", "compact", AlterConfigOp.OpType.SUBTRACT)));
        call("incrementalAlterConfigs: unknown", () ->
            alter(topic, op("no.such", "1", AlterConfigOp.OpType.SET)));
        call("incrementalAlterConfigs: of a group", () ->
            alter(new ConfigResource(Type.GROUP, "calls"),
                op("consumer.session.timeout.ms", "50000", AlterConfigOp.OpType.SET)));
        settle();
        call("describeConfigs: altered", () -> entries(topic));
        call("describeConfigs: documented", () -> {
            Config found = admin.describeConfigs(List.of(broker),
                new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true))
                .all().get().get(broker);
            ConfigEntry entry = found.get("num.network.threads");
            return List.of(entry.type(), entry.isReadOnly(), entry.isSensitive(),
                !entry.documentation().isEmpty());
        });
        call("listConfigResources: of groups", () ->
            admin.listConfigResources(Set.of(Type.GROUP), new ListConfigResourcesOptions())
                .all().get());
        call("listClientMetricsResources: none", () ->
            admin.listClientMetricsResources().all().get());
    }

    private void records() throws Exception {
        produce("calls", 10);
        TopicPartition first = new TopicPartition("calls", 0);
        for (Map.Entry<String, OffsetSpec> asked : new TreeMap<>(Map.of(
                "earliest", OffsetSpec.earliest(), "latest", OffsetSpec.latest(),
                "maxTimestamp", OffsetSpec.maxTimestamp(), "time", OffsetSpec.forTimestamp(1),
                "future", OffsetSpec.forTimestamp(Long.MAX_VALUE),
                "local", OffsetSpec.earliestLocal(), "tiered", OffsetSpec.latestTiered()))
                .entrySet()) {
            call("listOffsets: " + asked.getKey(), () -> admin.listOffsets(
                Map.of(first, asked.getValue())).all().get().get(first).offset());
        }
        call("deleteRecords: some", () -> admin.deleteRecords(
            Map.of(first, RecordsToDelete.beforeOffset(4))).lowWatermarks().get(first).get()
            .lowWatermark());
        call("deleteRecords: beyond", () -> admin.deleteRecords(
            Map.of(first, RecordsToDelete.beforeOffset(99))).all().get());
        call("listOffsets: after a deletion", () -> admin.listOffsets(
            Map.of(first, OffsetSpec.earliest())).all().get().get(first).offset());
        call("describeProducers: idempotent", () -> admin.describeProducers(List.of(first))
            .partitionResult(first).get().activeProducers().size());
    }

    private void replicas() {
        TopicPartition first = new TopicPartition("calls", 0);
        TopicPartition missing = new TopicPartition("missing", 0);
        TopicPartitionReplica replica = new TopicPartitionReplica("calls", 0, 1);
        call("describeLogDirs: all", () -> {
            LogDirDescription found = admin.describeLogDirs(List.of(1))
                .allDescriptions().get().get(1).values().iterator().next();
            ReplicaInfo info = found.replicaInfos().get(first);
            return List.of(info.size() > 0, info.offsetLag(), info.isFuture(),
                found.totalBytes().isPresent(), found.usableBytes().isPresent(),
                found.replicaInfos().keySet().stream()
                    .filter(partition -> !partition.topic().startsWith("__"))
                    .map(TopicPartition::toString).sorted().toList());
        });
        call("describeReplicaLogDirs: one", () ->
            admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica));
        call("alterReplicaLogDirs: to where it is", () ->
            admin.alterReplicaLogDirs(Map.of(replica, logDir)).all().get());
        call("alterReplicaLogDirs: to elsewhere", () ->
            admin.alterReplicaLogDirs(Map.of(replica, "/no/such")).all().get());
        call("electLeaders: preferred", () ->
            admin.electLeaders(ElectionType.PREFERRED, Set.of(first, missing)).partitions().get()
                .values().stream().map(error -> error.get().getClass().getSimpleName()).sorted()
                .toList());
        call("electLeaders: all", () ->
            admin.electLeaders(ElectionType.UNCLEAN, null).partitions().get());
        call("alterPartitionReassignments: to where it is", () ->
            admin.alterPartitionReassignments(Map.of(first,
                Optional.of(new NewPartitionReassignment(List.of(1))))).all().get());
        call("alterPartitionReassignments: to a stranger", () ->
            admin.alterPartitionReassignments(Map.of(first,
                Optional.of(new NewPartitionReassignment(List.of(99))))).all().get());
        call("alterPartitionReassignments: called off", () ->
            admin.alterPartitionReassignments(Map.of(first, Optional.empty())).all().get());
        call("listPartitionReassignments: all", () ->
            admin.listPartitionReassignments().reassignments().get());
        call("listPartitionReassignments: of an unknown topic", () ->
            admin.listPartitionReassignments(Set.of(missing)).reassignments().get());
    }

    private void groups() throws Exception {
        TopicPartition first = new TopicPartition("calls", 0);
        try (KafkaConsumer<byte[], byte[]> member = consumer("classic-group", "classic")) {
            member.subscribe(List.of("calls"));
            for (int polls = 0; member.assignment().size() < 4 && polls < 100; polls++) {
                member.poll(Duration.ofMillis(200));
            }
            member.commitSync(Map.of(first, new OffsetAndMetadata(5, "note")));
            call("listGroups: all", () -> admin.listGroups().all().get().stream()
                .map(AdminCalls::text).sorted().toList());
            call("listConsumerGroups: all", () -> admin.listConsumerGroups().all().get().stream()
                .map(AdminCalls::text).sorted().toList());
            call("describeConsumerGroups: with a member", () -> described("classic-group"));
            call("describeClassicGroups: with a member", () -> {
                ClassicGroupDescription found = admin.describeClassicGroups(
                    List.of("classic-group")).all().get().get("classic-group");
                return List.of(found.protocol(), found.protocolData(), found.state(),
                    found.members().size(), found.coordinator());
            });
            call("deleteConsumerGroups: with a member", () ->
                admin.deleteConsumerGroups(List.of("classic-group")).all().get());
            call("deleteConsumerGroupOffsets: of what is read", () ->
                admin.deleteConsumerGroupOffsets("classic-group", Set.of(first)).all().get());
            call("alterConsumerGroupOffsets: with a member", () ->
                admin.alterConsumerGroupOffsets("classic-group",
                    Map.of(first, new OffsetAndMetadata(6))).all().get());
            call("removeMembersFromConsumerGroup: all", () ->
                admin.removeMembersFromConsumerGroup("classic-group",
                    new RemoveMembersFromConsumerGroupOptions()).all().get());
        }
        call("removeMembersFromConsumerGroup: a stranger", () ->
            admin.removeMembersFromConsumerGroup("classic-group",
                new RemoveMembersFromConsumerGroupOptions(
                    Set.of(new MemberToRemove("nobody")))).all().get());
        call("describeConsumerGroups: empty", () -> described("classic-group"));
        call("listConsumerGroupOffsets: all", () ->
            admin.listConsumerGroupOffsets("classic-group").partitionsToOffsetAndMetadata().get());
        call("listConsumerGroupOffsets: of two groups", () ->
            admin.listConsumerGroupOffsets(Map.of(
                "classic-group", new ListConsumerGroupOffsetsSpec().topicPartitions(
                    List.of(first, new TopicPartition("missing", 3))),
                "no-group", new ListConsumerGroupOffsetsSpec())).all().get());
        call("alterConsumerGroupOffsets: empty", () -> admin.alterConsumerGroupOffsets(
            "classic-group", Map.of(first, new OffsetAndMetadata(7, "reset"))).all().get());
        call("listConsumerGroupOffsets: altered", () ->
            admin.listConsumerGroupOffsets("classic-group").partitionsToOffsetAndMetadata().get());
        call("deleteConsumerGroupOffsets: some", () ->
            admin.deleteConsumerGroupOffsets("classic-group", Set.of(first)).all().get());
    }

    private void consumerGroups() throws Exception {
        try (KafkaConsumer<byte[], byte[]> member = consumer("new-group", "consumer")) {
            member.subscribe(List.of("calls"));
            for (int polls = 0; member.assignment().size() < 4 && polls < 100; polls++) {
                member.poll(Duration.ofMillis(200));
            }
            call("describeConsumerGroups: of the new kind", () -> described("new-group"));
            call("listGroups: of the new kind", () -> admin.listGroups(
                new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))).all().get());
        }
    }

    private void transactions() throws Exception {
        TopicPartition second = new TopicPartition("calls", 1);
        call("listTransactions: none", () -> admin.listTransactions().all().get());
        Properties settings = producerSettings();
        settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "calls-id");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>("calls", 1, "k".getBytes(), "open".getBytes())).get();
            call("listTransactions: an open one", () -> admin.listTransactions().all().get()
                .stream().map(found -> found.transactionalId() + " " + found.state()).toList());
            call("describeTransactions: an open one", () -> {
                TransactionDescription found = admin.describeTransactions(List.of("calls-id"))
                    .description("calls-id").get();
                return List.of(found.state(), found.topicPartitions(), found.producerEpoch(),
                    found.transactionTimeoutMs(), found.coordinatorId());
            });
            call("describeProducers: in a transaction", () -> {
                ProducerState found = admin.describeProducers(List.of(second))
                    .partitionResult(second).get().activeProducers().get(0);
                return List.of(found.producerEpoch(), found.lastSequence(),
                    found.coordinatorEpoch(), found.currentTransactionStartOffset());
            });
            call("abortTransaction: of a stranger", () -> admin.abortTransaction(
                new AbortTransactionSpec(second, 999_999, (short) 0, 0)).all().get());
            call("fenceProducers: one", () ->
                admin.fenceProducers(List.of("calls-id")).all().get());
            settle();
            call("forceTerminateTransaction: none is open", () ->
                admin.forceTerminateTransaction("calls-id").result().get());
            call("describeTransactions: ended", () -> admin.describeTransactions(
                List.of("calls-id")).description("calls-id").get().topicPartitions());
            producer.close(Duration.ZERO);
        }
    }

    private void quotas() {
        ClientQuotaEntity entity =
            new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, "calls"));
        call("alterClientQuotas: set", () -> admin.alterClientQuotas(List.of(
            new ClientQuotaAlteration(entity, List.of(
                new ClientQuotaAlteration.Op("producer_byte_rate", 5e6))))).all().get());
        settle();
        call("describeClientQuotas: all", () ->
            admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get());
        call("alterClientQuotas: unknown", () -> admin.alterClientQuotas(List.of(
            new ClientQuotaAlteration(entity, List.of(
                new ClientQuotaAlteration.Op("no_such", 1.0))))).all().get());
        call("alterClientQuotas: removed", () -> admin.alterClientQuotas(List.of(
            new ClientQuotaAlteration(entity, List.of(
                new ClientQuotaAlteration.Op("producer_byte_rate", null))))).all().get());
    }

    private void features() {
        call("describeFeatures: in force", () -> {
            FeatureMetadata found = admin.describeFeatures().featureMetadata().get();
            return List.of(found.finalizedFeatures().get("metadata.version"),
                found.finalizedFeatures().get("transaction.version"),
                found.finalizedFeaturesEpoch().isPresent());
        });
        call("updateFeatures: in force", () -> update("transaction.version", 2, UPGRADE, false));
        call("updateFeatures: unknown", () -> update("no.such", 1, UPGRADE, false));
        call("updateFeatures: validated", () ->
            update("transaction.version", 1, SAFE_DOWNGRADE, true));
        call("updateFeatures: down, called up", () ->
            update("transaction.version", 1, UPGRADE, false));
    }

    private void deletions() {
        call("deleteConsumerGroups: empty", () ->
            admin.deleteConsumerGroups(List.of("classic-group")).all().get());
        call("deleteConsumerGroups: unknown", () ->
            admin.deleteConsumerGroups(List.of("no-group")).all().get());
        call("deleteTopics: by id", () -> admin.deleteTopics(
            TopicCollection.ofTopicIds(List.of(idOf("assigned")))).all().get());
        call("deleteTopics: by name", () -> admin.deleteTopics(List.of("defaults")).all().get());
        call("deleteTopics: unknown", () -> admin.deleteTopics(List.of("missing")).all().get());
        call("deleteTopics: unknown id", () -> admin.deleteTopics(
            TopicCollection.ofTopicIds(List.of(Uuid.ONE_UUID))).all().get());
        call("describeTopics: unknown", () ->
            admin.describeTopics(List.of("missing")).allTopicNames().get());
        settle();
        call("listTopics: what is left", () -> admin.listTopics().names().get());
    }

    /** Tells the methods of Admin that nothing here calls. */
    private void missing() {
        Set<String> names = Arrays.stream(Admin.class.getMethods())
            .map(method -> method.getName())
            .filter(name -> ELSEWHERE.stream().noneMatch(name::contains))
            .filter(name -> !NO_CALLS.contains(name) && !called.contains(name))
            .collect(Collectors.toCollection(TreeSet::new));
        System.out.println("not called\t" + names);
    }

    // --- what they share

    private static final FeatureUpdate.UpgradeType UPGRADE = FeatureUpdate.UpgradeType.UPGRADE;
    private static final FeatureUpdate.UpgradeType SAFE_DOWNGRADE =
        FeatureUpdate.UpgradeType.SAFE_DOWNGRADE;

    private Object update(
            String feature, int level, FeatureUpdate.UpgradeType type, boolean validateOnly)
            throws Exception {
        return admin.updateFeatures(
            Map.of(feature, new FeatureUpdate((short) level, type)),
            new UpdateFeaturesOptions().validateOnly(validateOnly)).all().get();
    }

    private Object described(String group) throws Exception {
        ConsumerGroupDescription found =
            admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        return List.of(found.type(), found.groupState(), found.partitionAssignor(),
            found.coordinator(), found.isSimpleConsumerGroup(),
            found.members().stream().map(member -> text(List.of(member.clientId(), member.host(),
                text(member.assignment().topicPartitions())))).toList());
    }

    private Object entries(ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).entries().stream()
            .filter(entry -> entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG)
            .map(entry -> entry.name() + "=" + entry.value() + " " + entry.type()).sorted().toList();
    }

    private static AlterConfigOp op(String name, String value, AlterConfigOp.OpType type) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private Object alter(ConfigResource resource, AlterConfigOp... ops) throws Exception {
        return admin.incrementalAlterConfigs(Map.of(resource, List.of(ops))).all().get();
    }

    private Uuid idOf(String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).topicId();
    }

    private Properties producerSettings() {
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, ByteArraySerializer.class);
        return settings;
    }

    private void produce(String topic, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(producerSettings())) {
            for (int number = 0; number < count; number++) {
                producer.send(new ProducerRecord<>(
                    topic, 0, 1_700_000_000_000L + number, new byte[] {(byte) number}, new byte[20]))
                    .get();
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group, String protocol) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        settings.put(ConsumerConfig.GROUP_PROTOCOL_CONFIG, protocol);
        settings.put(ConsumerConfig.CLIENT_ID_CONFIG, "calls");
        settings.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        settings.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        settings.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        return new KafkaConsumer<>(settings);
    }

    private void settle() {
        try {
            Thread.sleep(settlingMs);
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    private void call(String name, Call call) {
        called.add(name.substring(0, name.indexOf(':')));
        String result;
        try {
            result = text(call.run());
        } catch (ExecutionException failed) {
            result = failed.getCause().getClass().getSimpleName();
        } catch (Exception failed) {
            result = failed.getClass().getSimpleName();
        }
        System.out.println(name + "\t" + result.replace("\n", " "));
    }

    /** Sets and maps in order, so that two runs say the same. */
    private static String text(Object value) {
        if (value instanceof Map) {
            TreeMap<String, String> sorted = new TreeMap<>();
            ((Map<?, ?>) value).forEach((key, each) -> sorted.put(text(key), text(each)));
            return sorted.toString();
        }
        if (value instanceof Set) {
            return ((Collection<?>) value).stream().map(AdminCalls::text).sorted().toList()
                .toString();
        }
        if (value instanceof Collection) {
            return ((Collection<?>) value).stream().map(AdminCalls::text).toList().toString();
        }
        return String.valueOf(value);
    }
}
