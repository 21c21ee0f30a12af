/*
 * Writes golden vectors of every Kafka message: the bytes that Kafka's own generated classes make.
 *
 *   java -cp <jars of one Kafka release> GoldenMessages.java <jar>...     > vectors.jsonl
 *
 * Every class of the given jars that is a top-level protocol Message, at every version it supports, in these cases:
 *
 *   default    a new instance, untouched
 *   one        as default, with one element (of defaults) in every array
 *   null       null wherever that version may hold it; one such element in every other array
 *   min, max   smallest and largest numbers, shortest texts and texts at the edges of a varint length
 *   random-N   seeded by message, version and N: small arrays, unicode, known and unknown tagged fields
 *
 * A value is set through the class's own setter; one that the version can't write (UnsupportedVersionException, or
 * NullPointerException where it may not be null) gives way to the field's default. So the program knows no spec.
 * Each vector is read back and written again by Java, and must come out the same.
 *
 * A line: {"message", "kind", "version", "case", "bytes": hex, "fields": only with random-0, as Kafka's JsonConverter says}.
 */

import com.fasterxml.jackson.databind.JsonNode;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.jar.JarFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.record.BaseRecords;
import org.apache.kafka.common.record.MemoryRecords;

public final class GoldenMessages {
    private static final int RANDOM_CASES = 6;
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] jars) throws Exception {
        for (String name : messageClassNames(jars)) {
            Class<?> type = Class.forName(name);
            Message probe = (Message) type.getDeclaredConstructor().newInstance();
            for (int v = probe.lowestSupportedVersion(); v <= probe.highestSupportedVersion(); v++) {
                writeVectors(type, (short) v);
            }
        }
        OUT.flush();
    }

    private static void writeVectors(Class<?> type, short version) throws Exception {
        writeVector(type, version, "default", new Untouched());
        writeVector(type, version, "one", new OneOfEach());
        writeVector(type, version, "null", new Nulls());
        writeVector(type, version, "min", new Edges(false));
        writeVector(type, version, "max", new Edges(true));
        for (int n = 0; n < RANDOM_CASES; n++) {
            long seed = (specName(type) + "/" + version + "/" + n).hashCode();
            writeVector(type, version, "random-" + n, new Arbitrary(new Random(seed)));
        }
    }

    private static void writeVector(Class<?> type, short version, String name, Filling filling) throws Exception {
        Message message = new Builder(version, filling).build(type, 0);
        byte[] bytes = bytesOf(message, version);
        Message again = (Message) type.getDeclaredConstructor().newInstance();
        again.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version);
        if (!Arrays.equals(bytes, bytesOf(again, version))) {
            throw new IllegalStateException(type + " v" + version + " " + name + " does not survive Java itself");
        }
        String fields = name.equals("random-0") ? ",\"fields\":" + jsonOf(message, version) : "";
        OUT.printf("{\"message\":\"%s\",\"kind\":\"%s\",\"version\":%d,\"case\":\"%s\",\"bytes\":\"%s\"%s}\n",
            specName(type), kindOf(type), version, name, HexFormat.of().formatHex(bytes), fields);
    }

    static byte[] bytesOf(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(message.getClass() + " is shorter than its size");
        }
        return buffer.array();
    }

    private static JsonNode jsonOf(Message message, short version) throws Exception {
        Class<?> converter = Class.forName(message.getClass().getName() + "JsonConverter");
        Method write = converter.getMethod("write", message.getClass(), short.class, boolean.class);
        return (JsonNode) write.invoke(null, message, version, false);
    }

    private static Collection<String> messageClassNames(String[] jars) throws Exception {
        Collection<String> names = new TreeSet<>();
        for (String jar : jars) {
            try (JarFile file = new JarFile(jar)) {
                file.stream()
                    .map(entry -> entry.getName())
                    .filter(name -> name.endsWith("JsonConverter.class") && !name.contains("$"))
                    .map(name -> name.substring(0, name.length() - "JsonConverter.class".length()).replace('/', '.'))
                    .forEach(names::add);
            }
        }
        return names;
    }

    private static String specName(Class<?> type) {
        String name = type.getSimpleName();
        return name.matches(".*(Request|Response|Header)Data") ? name.substring(0, name.length() - 4) : name;
    }

    private static String kindOf(Class<?> type) {
        String name = specName(type);
        String origin = type.getPackageName();
        if (origin.endsWith(".common.message")) {
            return name.endsWith("Request") ? "request"
                : name.endsWith("Response") ? "response"
                : name.endsWith("Header") ? "header"
                : "data";
        }
        if (origin.endsWith(".common.metadata") || origin.contains(".log.remote.")) {
            return name.endsWith("Record") ? "metadata" : "data";
        }
        return !origin.contains(".coordinator.") ? "data" : name.endsWith("Key") ? "coordinator-key" : "coordinator-value";
    }

    /** What to put into a field. `KEEP` leaves the default. */
    interface Filling {
        Object KEEP = new Object();

        /** A number (as long), boolean, text, byte[], Uuid or double for a scalar of that Java type. */
        Object scalar(Class<?> type);

        /** How many elements an array gets, or -1 to leave it alone. */
        int arrayLength(int depth, boolean ofStructs);

        /** Whether a field that may be null shall be null. */
        boolean wantsNull();

        /** Whether a nested struct (not in an array) is filled too. */
        boolean wantsStruct();

        /** Unknown tagged fields of a struct at that depth. */
        List<RawTaggedField> unknownTaggedFields(int depth);
    }

    /** Builds one message for one version, asking Java itself which values that version can write. */
    static final class Builder {
        private final short version;
        private final Filling filling;

        Builder(short version, Filling filling) {
            this.version = version;
            this.filling = filling;
        }

        Message build(Class<?> type, int depth) throws Exception {
            Constructor<?> constructor = type.getDeclaredConstructor();
            Message message = (Message) constructor.newInstance();
            for (Field field : type.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers()) && setterOf(type, field) != null) {
                    fill(message, field, depth);
                }
            }
            List<RawTaggedField> unknown = filling.unknownTaggedFields(depth);
            message.unknownTaggedFields().addAll(unknown);
            if (!writes(message)) {
                message.unknownTaggedFields().clear();
            }
            return message;
        }

        private void fill(Message message, Field field, int depth) throws Exception {
            field.setAccessible(true);
            Object before = field.get(message);
            if (!field.getType().isPrimitive() && filling.wantsNull() && keeps(message, field, null)) {
                return;
            }
            Object value = valueFor(field, depth);
            if (value != Filling.KEEP && !keeps(message, field, value)) {
                field.set(message, before);
            }
        }

        /** Sets a value if this version can write the message with it; leaves the field as it was if not. */
        private boolean keeps(Message message, Field field, Object value) throws Exception {
            Object before = field.get(message);
            setterOf(message.getClass(), field).invoke(message, value);
            if (writes(message)) {
                return true;
            }
            field.set(message, before);
            return false;
        }

        private boolean writes(Message message) {
            try {
                bytesOf(message, version);
                message.hashCode(); // an element of a keyed collection needs one: a null that fails there is no value
                return true;
            } catch (UnsupportedVersionException | NullPointerException e) {
                return false;
            }
        }

        private Object valueFor(Field field, int depth) throws Exception {
            Class<?> type = field.getType();
            if (Collection.class.isAssignableFrom(type)) {
                return arrayFor(field, depth);
            }
            if (Message.class.isAssignableFrom(type)) {
                return filling.wantsStruct() ? build(type, depth + 1) : Filling.KEEP;
            }
            return fitted(field, scalarOf(type));
        }

        private Object arrayFor(Field field, int depth) throws Exception {
            Class<?> element = elementOf(field);
            boolean ofStructs = Message.class.isAssignableFrom(element);
            int length = filling.arrayLength(depth, ofStructs);
            if (length < 0) {
                return Filling.KEEP;
            }
            @SuppressWarnings("unchecked")
            Collection<Object> array = field.getType() == List.class
                ? new ArrayList<>()
                : (Collection<Object>) field.getType().getDeclaredConstructor().newInstance();
            for (int i = 0; i < length; i++) {
                Object value = ofStructs ? build(element, depth + 1) : scalarOf(element);
                array.add(value == Filling.KEEP ? zeroOf(element) : value);
            }
            return array;
        }

        private Object scalarOf(Class<?> type) {
            Object value = filling.scalar(type);
            if (value instanceof Long number) {
                return narrowed(number, type);
            }
            if (value instanceof byte[] bytes && type == ByteBuffer.class) {
                return ByteBuffer.wrap(bytes);
            }
            if (value instanceof byte[] bytes && type == BaseRecords.class) {
                return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
            }
            return value;
        }

        /** An unsigned field is wider in Java than on the wire: its setter says so, then the low bits are taken. */
        private Object fitted(Field field, Object value) throws Exception {
            boolean mayBeUnsigned = value instanceof Integer || value instanceof Long;
            if (!mayBeUnsigned) {
                return value;
            }
            Object scratch = field.getDeclaringClass().getDeclaredConstructor().newInstance();
            try {
                setterOf(field.getDeclaringClass(), field).invoke(scratch, value);
                return value;
            } catch (InvocationTargetException e) {
                return value instanceof Integer number ? (Object) (number & 0xffff) : (Object) ((Long) value & 0xffffffffL);
            }
        }

        private static Object narrowed(long number, Class<?> type) {
            if (type == byte.class || type == Byte.class) {
                return (byte) number;
            }
            if (type == short.class || type == Short.class) {
                return (short) number;
            }
            return type == int.class || type == Integer.class ? (Object) (int) number : (Object) number;
        }

        private static Object zeroOf(Class<?> type) {
            if (type == String.class) {
                return "";
            }
            if (type == Uuid.class) {
                return Uuid.ZERO_UUID;
            }
            if (type == byte[].class) {
                return new byte[0];
            }
            return type == Boolean.class ? (Object) false : narrowed(0, type);
        }

        private static Class<?> elementOf(Field field) {
            Type generic = field.getType() == List.class ? field.getGenericType() : field.getType().getGenericSuperclass();
            Type element = ((ParameterizedType) generic).getActualTypeArguments()[0];
            return (Class<?>) element;
        }

        private static Method setterOf(Class<?> type, Field field) {
            String name = "set" + Character.toUpperCase(field.getName().charAt(0)) + field.getName().substring(1);
            try {
                return type.getMethod(name, field.getType());
            } catch (NoSuchMethodException e) {
                return null;
            }
        }
    }

    private static class Untouched implements Filling {
        public Object scalar(Class<?> type) {
            return KEEP;
        }

        public int arrayLength(int depth, boolean ofStructs) {
            return -1;
        }

        public boolean wantsNull() {
            return false;
        }

        public boolean wantsStruct() {
            return false;
        }

        public List<RawTaggedField> unknownTaggedFields(int depth) {
            return List.of();
        }
    }

    private static class OneOfEach extends Untouched {
        @Override
        public int arrayLength(int depth, boolean ofStructs) {
            return 1;
        }

        @Override
        public boolean wantsStruct() {
            return true;
        }
    }

    private static final class Nulls extends OneOfEach {
        @Override
        public boolean wantsNull() {
            return true;
        }
    }

    private static final class Edges extends OneOfEach {
        private static final int[] TEXT_LENGTHS = {126, 127, 128, 300};
        private final boolean largest;
        private int texts = 0;

        Edges(boolean largest) {
            this.largest = largest;
        }

        @Override
        public Object scalar(Class<?> type) {
            if (type == boolean.class || type == Boolean.class) {
                return largest;
            }
            if (type == double.class) {
                return largest ? Double.POSITIVE_INFINITY : -0.0;
            }
            if (type == Uuid.class) {
                return largest ? new Uuid(-1L, -1L) : new Uuid(0L, Long.MIN_VALUE);
            }
            if (type == String.class) {
                return largest ? "x".repeat(nextLength()) : "";
            }
            if (type == byte[].class || type == ByteBuffer.class || type == BaseRecords.class) {
                byte[] bytes = new byte[largest ? nextLength() : 0];
                Arrays.fill(bytes, (byte) 0xff);
                return bytes;
            }
            if (type == byte.class || type == Byte.class) {
                return (long) (largest ? Byte.MAX_VALUE : Byte.MIN_VALUE);
            }
            if (type == short.class || type == Short.class) {
                return (long) (largest ? Short.MAX_VALUE : Short.MIN_VALUE);
            }
            if (type == int.class || type == Integer.class) {
                return (long) (largest ? Integer.MAX_VALUE : Integer.MIN_VALUE);
            }
            return largest ? Long.MAX_VALUE : Long.MIN_VALUE;
        }

        @Override
        public int arrayLength(int depth, boolean ofStructs) {
            return largest && !ofStructs && depth < 2 ? 130 : 1;
        }

        private int nextLength() {
            return TEXT_LENGTHS[texts++ % TEXT_LENGTHS.length];
        }
    }

    private static final class Arbitrary implements Filling {
        private static final String[] SYLLABLES = {"a", "ka", "Z9", "-", "_.", "\u00e9", "\u0416", "\u6f22", "\ud83d\udc1f", "\u0000", " "};
        private final Random random;

        Arbitrary(Random random) {
            this.random = random;
        }

        @Override
        public Object scalar(Class<?> type) {
            if (type == boolean.class || type == Boolean.class) {
                return random.nextBoolean();
            }
            if (type == double.class) {
                return random.nextInt(2_000_001) / 1024.0 - 1000.0;
            }
            if (type == Uuid.class) {
                return new Uuid(random.nextLong(), random.nextLong());
            }
            if (type == String.class) {
                StringBuilder text = new StringBuilder();
                for (int n = random.nextInt(5); n > 0; n--) {
                    text.append(SYLLABLES[random.nextInt(SYLLABLES.length)]);
                }
                return text.toString();
            }
            if (type == byte[].class || type == ByteBuffer.class || type == BaseRecords.class) {
                return randomBytes(random.nextInt(7));
            }
            return switch (random.nextInt(4)) {
                case 0 -> (long) random.nextInt(3) - 1;
                case 1 -> 1L << random.nextInt(63);
                default -> random.nextLong();
            };
        }

        @Override
        public int arrayLength(int depth, boolean ofStructs) {
            return depth == 0 ? 1 + random.nextInt(3) : random.nextInt(3);
        }

        @Override
        public boolean wantsNull() {
            return random.nextInt(6) == 0;
        }

        @Override
        public boolean wantsStruct() {
            return random.nextInt(4) != 0;
        }

        @Override
        public List<RawTaggedField> unknownTaggedFields(int depth) {
            return switch (random.nextInt(4)) {
                case 0 -> List.of(new RawTaggedField(100, randomBytes(3)));
                case 1 -> List.of(new RawTaggedField(200, randomBytes(0)), new RawTaggedField(70_000, randomBytes(2)));
                default -> List.of();
            };
        }

        private byte[] randomBytes(int length) {
            byte[] bytes = new byte[length];
            random.nextBytes(bytes);
            return bytes;
        }
    }
}
