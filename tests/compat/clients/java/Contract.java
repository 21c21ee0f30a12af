import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.ConcurrentLinkedQueue;

/** The driver's side of CONTRACT.md: what it is asked on stdin and says on stdout, and how it ends. */
final class Contract {
    private static final PrintStream OUT = utf8Stdout();

    private Contract() {}

    /** What the harness asks of a group member, read beside the consumer's loop; the end of stdin is a wish to leave. */
    static ConcurrentLinkedQueue<JsonObject> commands() {
        ConcurrentLinkedQueue<JsonObject> commands = new ConcurrentLinkedQueue<>();
        Thread reader = new Thread(() -> {
            try {
                BufferedReader stdin = stdin();
                for (String line = stdin.readLine(); line != null; line = stdin.readLine()) {
                    commands.add(parse(line));
                }
            } catch (Exception failure) {
                fail(failure.toString());
            }
            commands.add(parse("{\"do\": \"leave\"}"));
        });
        reader.setDaemon(true);
        reader.start();
        return commands;
    }

    static JsonObject variable(String name) {
        String text = System.getenv(name);
        return parse(text == null ? "{}" : text);
    }

    static void endAtDeadline(long deadlineMs) {
        new Timer(true).schedule(new TimerTask() {
            @Override
            public void run() {
                fail("deadline");
            }
        }, deadlineMs);
    }

    static void fail(String reason) {
        JsonObject error = event("error");
        error.addProperty("reason", reason);
        emit(error);
        end(1);
    }

    /** Ends at once: a client's threads that do not end by themselves must not hold up the harness. */
    static void end(int status) {
        OUT.flush();
        Runtime.getRuntime().halt(status);
    }

    static JsonObject event(String name) {
        JsonObject event = new JsonObject();
        event.addProperty("event", name);
        return event;
    }

    static synchronized void emit(JsonObject event) {
        OUT.println(event); // JsonObject prints nulls, which Gson itself would leave out
        OUT.flush();
    }

    static JsonObject parse(String line) {
        return JsonParser.parseString(line).getAsJsonObject();
    }

    static byte[] bytes(JsonElement text) {
        return text.isJsonNull() ? null : Base64.getDecoder().decode(text.getAsString());
    }

    static JsonElement text(byte[] content) {
        return content == null
                ? JsonNull.INSTANCE
                : new JsonPrimitive(Base64.getEncoder().encodeToString(content));
    }

    static BufferedReader stdin() {
        return new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    }

    private static PrintStream utf8Stdout() {
        try {
            return new PrintStream(System.out, false, "UTF-8");
        } catch (java.io.UnsupportedEncodingException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
