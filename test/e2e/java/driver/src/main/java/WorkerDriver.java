import java.util.Arrays;
import java.util.List;

/**
 * Starts one real PowerJobWorker and tells whether its start returned: a line "worker started", or "worker failed: " and why.
 * A worker that started runs until the end of the input.
 *
 * <p>Arguments: the server addresses (comma-separated host:port), the app's name, a free port for the worker, a directory for its files.
 */
public final class WorkerDriver {
    private WorkerDriver() {
    }

    public static void main(String[] args) throws Exception {
        System.setProperty("user.home", args[3]);
        Class<?> type = Class.forName("tech.powerjob.worker.common.PowerJobWorkerConfig");
        Class<?> protocol = Class.forName("tech.powerjob.common.enums.Protocol");
        Object config = type.getConstructor().newInstance();
        type.getMethod("setServerAddress", List.class).invoke(config, Arrays.asList(args[0].split(",")));
        type.getMethod("setAppName", String.class).invoke(config, args[1]);
        for (var method : type.getMethods()) {
            if (method.getName().equals("setPort")) {
                method.invoke(config, Integer.parseInt(args[2]));
            }
        }
        type.getMethod("setProtocol", protocol).invoke(config, protocol.getField("HTTP").get(null));
        String end = "started";
        try {
            Class<?> worker = Class.forName("tech.powerjob.worker.PowerJobWorker");
            worker.getMethod("init").invoke(worker.getConstructor(type).newInstance(config));
        } catch (Throwable e) {
            Throwable told = e.getCause() == null ? e : e.getCause();
            end = "failed: " + told;
            told.printStackTrace();
        }
        System.out.println("\nworker " + end);
        System.out.flush();
        while (end.equals("started") && System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }
}
