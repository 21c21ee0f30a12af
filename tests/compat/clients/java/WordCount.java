// Kafka Streams' word count: reads "lines", writes every new count to "counts". Calls only what all
// releases from 2.8 have; configs are texts, as their constants come and go.
//
//     java WordCount <bootstrap> <state directory> <processing.guarantee>
//
// Prints "running" each time that it runs, and ends when its stdin does.

import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

public class WordCount {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("application.id", "word-count");
        settings.put("state.dir", arguments[1]);
        settings.put("processing.guarantee", arguments[2]);
        // Much is written and not committed when it is killed.
        settings.put("commit.interval.ms", 500);
        settings.put("producer.linger.ms", 0);
        settings.put("cache.max.bytes.buffering", 0); // until 3.4, when it became the next one
        settings.put("statestore.cache.max.bytes", 0);
        settings.put("num.stream.threads", 2);
        settings.put("replication.factor", 1);
        settings.put("default.key.serde", Serdes.StringSerde.class);
        settings.put("default.value.serde", Serdes.StringSerde.class);
        settings.put("consumer.auto.offset.reset", "earliest");
        // One that is killed is gone soon.
        settings.put("consumer.session.timeout.ms", 6_000);
        settings.put("consumer.heartbeat.interval.ms", 500);

        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("lines")
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.as(Stores.inMemoryKeyValueStore("words")))
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to("counts", Produced.with(Serdes.String(), Serdes.String()));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) {
                System.out.println("running");
                System.out.flush();
            }
        });
        streams.start();
        while (System.in.read() >= 0) {
            continue;
        }
        streams.close();
    }
}
