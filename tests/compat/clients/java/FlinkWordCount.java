// Flink's word count: reads "lines", writes every new count to "counts", in transactions that end
// with its checkpoints.
//
//     java FlinkWordCount <bootstrap> <folder of checkpoints> [checkpoint to go on from]
//
// Prints "running" once the job was submitted, and ends when its stdin does: at once, as a job that
// is stopped in an orderly way would take a savepoint.

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;

public class FlinkWordCount {
    /** The count of each word, as state that checkpoints keep. */
    private static class Count extends RichMapFunction<String, String> {
        private transient ValueState<Long> seen;

        @Override
        public String map(String word) throws Exception {
            if (seen == null) {
                seen = getRuntimeContext().getState(new ValueStateDescriptor<>("seen", Types.LONG));
            }
            long count = seen.value() == null ? 1 : seen.value() + 1;
            seen.update(count);
            return word + " " + count;
        }
    }

    /** One of a result's two parts. A class, as Flink looks for the types of a schema. */
    private static class Part implements SerializationSchema<String> {
        private final int at;

        private Part(int at) {
            this.at = at;
        }

        @Override
        public byte[] serialize(String result) {
            return result.split(" ")[at].getBytes();
        }
    }

    public static void main(String[] arguments) throws Exception {
        Configuration settings = new Configuration();
        settings.setString("execution.checkpointing.interval", "500 ms");
        settings.setString("execution.checkpointing.dir", "file://" + arguments[1]);
        settings.setString("execution.checkpointing.num-retained", "3");
        settings.setString(
            "execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        settings.setString("execution.checkpointing.tolerable-failed-checkpoints", "100");
        settings.setString("restart-strategy.type", "fixed-delay");
        settings.setString("restart-strategy.fixed-delay.attempts", "100");
        settings.setString("restart-strategy.fixed-delay.delay", "500 ms");
        settings.setString("taskmanager.memory.network.min", "16 mb");
        settings.setString("taskmanager.memory.network.max", "16 mb");
        settings.setString("taskmanager.memory.managed.size", "16 mb");
        if (arguments.length > 2) {
            settings.setString("execution.state-recovery.path", "file://" + arguments[2]);
        }
        StreamExecutionEnvironment job =
            StreamExecutionEnvironment.createLocalEnvironment(2, settings);
        job.disableOperatorChaining();

        KafkaSource<String> lines = KafkaSource.<String>builder()
            .setBootstrapServers(arguments[0])
            .setTopics("lines")
            .setGroupId("word-count")
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setValueOnlyDeserializer(new SimpleStringSchema())
            .build();
        KafkaSink<String> counts = KafkaSink.<String>builder()
            .setBootstrapServers(arguments[0])
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix("word-count")
            .setProperty("transaction.timeout.ms", "60000")
            .setRecordSerializer(KafkaRecordSerializationSchema.<String>builder()
                .setTopic("counts")
                .setKeySerializationSchema(new Part(0))
                .setValueSerializationSchema(new Part(1))
                .build())
            .build();
        FlatMapFunction<String, String> split = (String line, Collector<String> words) -> {
            for (String word : line.split(" ")) {
                words.collect(word);
            }
        };
        job.fromSource(lines, WatermarkStrategy.noWatermarks(), "lines").uid("lines")
            .flatMap(split).returns(Types.STRING).uid("split")
            .keyBy(word -> word)
            .map(new Count()).uid("count")
            .sinkTo(counts).uid("counts");

        job.executeAsync("word count");
        System.out.println("running");
        System.out.flush();
        while (System.in.read() >= 0) {
            continue;
        }
        Runtime.getRuntime().halt(0);
    }
}
