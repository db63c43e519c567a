import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/**
 * Drives one real PowerJobClient object from another process, over lines of JSON.
 *
 * <p>Arguments: the server addresses (comma-separated host:port, or https://host:port), the app's name, its password. The first line written tells
 * whether the client's constructor returned: {@code {"id":0,"success":true}} or {@code {"id":0,"exception":"..."}}.
 *
 * <p>Then every line read, {@code {"id":1,"thread":0,"method":"copyJob","args":[7]}}, is one call of the client's own method on the
 * Java thread of that number (made when first named, so calls of one number run one after another), and every line written is one
 * call's end: the client's ResultDTO as {@code {"id":1,"success":true,"data":8,"message":null}}, or {@code {"id":1,"exception":"..."}}.
 * The end of the input ends the process.
 *
 * <p>The method "load" is the driver's own: its arguments are a number of threads, a number of calls and a saveJob request. The threads
 * make the calls, each with a job name of its own, and the answer's data tells the seconds they took and each call's nanoseconds.
 *
 * <p>The system property "timeout" replaces the client's own timeouts of 2 seconds; 4.x clients have no such setting and keep theirs.
 *
 * <p>The client is found by reflection, so that one driver serves every version on the class path.
 */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String HTTPS = "https://";

    private final PrintStream out;
    private Object client;

    private Driver(PrintStream out) {
        this.out = out;
    }

    public static void main(String[] args) throws Exception {
        // Whatever the client or its libraries print must not mix with the answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Driver driver = new Driver(answers);
        if (driver.construct(Arrays.asList(args[0].split(",")), args[1], args[2])) {
            driver.serve();
        }
        // The client's connection pool and our own threads would keep the process.
        System.exit(0);
    }

    private boolean construct(List<String> addresses, String app, String password) {
        ObjectNode answer = JSON.createObjectNode().put("id", 0);
        try {
            client = newClient(addresses, app, password);
            write(answer.put("success", true));
            return true;
        } catch (Throwable e) {
            write(answer.put("exception", describe(e)));
            return false;
        }
    }

    private static Object newClient(List<String> addresses, String app, String password) throws Exception {
        Class<?> type = Class.forName("tech.powerjob.client.PowerJobClient");
        boolean secure = addresses.get(0).startsWith(HTTPS);
        Integer timeout = Integer.getInteger("timeout");
        Class<?> config;
        try {
            config = Class.forName("tech.powerjob.client.ClientConfig");
        } catch (ClassNotFoundException e) { // before 5.0
            config = null;
        }
        if (config == null || !secure && timeout == null) {
            return type.getConstructor(List.class, String.class, String.class).newInstance(addresses, app, password);
        }
        Class<?> protocol = Class.forName("tech.powerjob.client.common.Protocol");
        Object c = config.getConstructor().newInstance();
        config.getMethod("setAppName", String.class).invoke(c, app);
        config.getMethod("setPassword", String.class).invoke(c, password);
        config.getMethod("setProtocol", protocol).invoke(c, protocol.getField(secure ? "HTTPS" : "HTTP").get(null));
        config.getMethod("setAddressList", List.class).invoke(c, addresses.stream()
                .map(address -> secure ? address.substring(HTTPS.length()) : address).collect(Collectors.toList()));
        if (timeout != null) {
            for (String of : new String[] {"setConnectionTimeout", "setReadTimeout", "setWriteTimeout"}) {
                config.getMethod(of, Integer.class).invoke(c, timeout);
            }
        }
        return type.getConstructor(config).newInstance(c);
    }

    private void serve() throws Exception {
        Map<Integer, ExecutorService> threads = new ConcurrentHashMap<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode command = JSON.readTree(line);
            threads.computeIfAbsent(command.path("thread").asInt(), n -> Executors.newSingleThreadExecutor())
                    .execute(() -> call(command));
        }
    }

    private void call(JsonNode command) {
        ObjectNode answer = JSON.createObjectNode();
        try {
            answer.setAll((ObjectNode) JSON.valueToTree(invoke(command.path("method").asText(), command.path("args"))));
        } catch (Throwable e) {
            answer.put("exception", describe(e));
        }
        write(answer.put("id", command.path("id").asInt()));
    }

    /** Calls the client's method of that name with that many parameters; each argument is read as the parameter's type. */
    private Object invoke(String name, JsonNode args) throws Throwable {
        if (name.equals("load")) {
            return load(args.get(0).asInt(), args.get(1).asInt(), args.get(2));
        }
        for (Method method : client.getClass().getMethods()) {
            if (!method.getName().equals(name) || method.getParameterCount() != args.size()) {
                continue;
            }
            Type[] types = method.getGenericParameterTypes();
            Object[] values = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                JavaType type = JSON.getTypeFactory().constructType(types[i]);
                values[i] = JSON.readValue(JSON.treeAsTokens(args.get(i)), type);
            }
            return method.invoke(client, values);
        }
        throw new NoSuchMethodException(name + " with " + args.size() + " arguments");
    }

    private ObjectNode load(int threads, int calls, JsonNode request) throws Throwable {
        Method save = Arrays.stream(client.getClass().getMethods()).filter(m -> m.getName().equals("saveJob")).findFirst().get();
        Class<?> type = save.getParameterTypes()[0];
        Method setName = type.getMethod("setJobName", String.class);
        long[] nanos = new long[calls];
        AtomicInteger next = new AtomicInteger();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        List<Future<?>> ends = new ArrayList<>();
        long start = System.nanoTime();
        for (int i = 0; i < threads; i++) {
            ends.add(pool.submit(() -> {
                for (int n = next.getAndIncrement(); n < calls; n = next.getAndIncrement()) {
                    Object job = JSON.treeToValue(request, type);
                    setName.invoke(job, request.path("jobName").asText() + "-" + n);
                    long began = System.nanoTime();
                    JsonNode result = JSON.valueToTree(save.invoke(client, job));
                    nanos[n] = System.nanoTime() - began;
                    if (!result.path("success").asBoolean()) {
                        throw new IllegalStateException(result.toString());
                    }
                }
                return null;
            }));
        }
        try {
            for (Future<?> end : ends) {
                end.get();
            }
        } finally {
            pool.shutdown();
        }
        ObjectNode data = JSON.createObjectNode().put("seconds", (System.nanoTime() - start) / 1e9);
        data.set("nanos", JSON.valueToTree(nanos));
        return JSON.createObjectNode().put("success", true).set("data", data);
    }

    private synchronized void write(ObjectNode answer) {
        out.println(answer);
        out.flush();
    }

    private static String describe(Throwable e) {
        Throwable told = e instanceof InvocationTargetException ? e.getCause() : e;
        StringBuilder text = new StringBuilder(told.toString());
        for (Throwable cause = told.getCause(); cause != null; cause = cause.getCause()) {
            text.append(" <- ").append(cause);
        }
        return text.toString();
    }
}
