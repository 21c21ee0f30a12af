import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main classes of Kafka's tools one after the other in one JVM: a start of a JVM takes
 * longer than what most tools do.
 *
 * Commands come on standard input, answers go to standard output, both as big-endian frames:
 *   command: class name, number of arguments, arguments, standard input (texts and bytes with an
 *            int32 length in front), int32 timeout in milliseconds
 *   answer:  int32 exit status (124: it did not end in time), standard output, standard error
 */
public final class ToolRunner {
    private static final int NOT_IN_TIME = 124;

    /** What a tool's exit becomes; the first one counts, whatever the tool makes of it. */
    private static final class Ended extends Error {
        private static final long serialVersionUID = 1L;
    }

    /** A stream whose target changes from tool to tool: Scala's Console keeps the first it sees. */
    private static final class Switch extends OutputStream {
        private volatile ByteArrayOutputStream target = new ByteArrayOutputStream();

        @Override
        public void write(int value) {
            target.write(value);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) {
            target.write(bytes, offset, length);
        }
    }

    public static void main(String[] arguments) throws Exception {
        DataInputStream commands = new DataInputStream(System.in);
        DataOutputStream answers = new DataOutputStream(new FileOutputStream(FileDescriptor.out));
        Switch out = new Switch();
        Switch err = new Switch();
        System.setOut(new PrintStream(out, true, "UTF-8"));
        System.setErr(new PrintStream(err, true, "UTF-8"));
        AtomicInteger status = new AtomicInteger();
        Exit.Procedure end = (code, message) -> {
            if (message != null) {
                System.err.println(message);
            }
            status.compareAndSet(-1, code);
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        // Hooks of a tool are not for the end of this JVM.
        Exit.setShutdownHookAdder((name, hook) -> { });
        while (true) {
            String tool;
            try {
                tool = text(commands);
            } catch (EOFException done) {
                Runtime.getRuntime().halt(0);
                return;
            }
            String[] given = new String[commands.readInt()];
            for (int at = 0; at < given.length; at++) {
                given[at] = text(commands);
            }
            InputStream input = new ByteArrayInputStream(bytes(commands));
            int timeoutMs = commands.readInt();
            out.target = new ByteArrayOutputStream();
            err.target = new ByteArrayOutputStream();
            status.set(-1);
            System.setIn(input);
            Thread thread = new Thread(() -> run(tool, given, status), "main");
            thread.setDaemon(true);
            thread.start();
            thread.join(timeoutMs);
            if (thread.isAlive()) {
                thread.interrupt();
                status.set(NOT_IN_TIME);
            }
            answers.writeInt(status.get());
            answer(answers, out.target.toByteArray());
            answer(answers, err.target.toByteArray());
            answers.flush();
        }
    }

    private static void run(String tool, String[] arguments, AtomicInteger status) {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            status.compareAndSet(-1, 0);
        } catch (InvocationTargetException failed) {
            if (!(failed.getCause() instanceof Ended)) {
                failed.getCause().printStackTrace();
                status.compareAndSet(-1, 1);
            }
        } catch (ReflectiveOperationException missing) {
            missing.printStackTrace();
            status.compareAndSet(-1, 1);
        }
    }

    private static String text(DataInputStream input) throws Exception {
        return new String(bytes(input), "UTF-8");
    }

    private static byte[] bytes(DataInputStream input) throws Exception {
        byte[] content = new byte[input.readInt()];
        input.readFully(content);
        return content;
    }

    private static void answer(DataOutputStream output, byte[] content) throws Exception {
        output.writeInt(content.length);
        output.write(content);
    }
}
