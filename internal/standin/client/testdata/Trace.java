import java.util.*;
import java.util.function.Supplier;
import tech.powerjob.client.ClientConfig;
import tech.powerjob.client.PowerJobClient;
import tech.powerjob.common.enums.*;
import tech.powerjob.common.request.http.SaveJobInfoRequest;
import tech.powerjob.common.response.ResultDTO;

/** Makes the calls of trace_test.go's scenario with the real client and prints what each call came to. */
public class Trace {
    static void call(String name, Supplier<ResultDTO<?>> c) {
        try {
            System.out.println(name + " success=" + c.get().isSuccess());
        } catch (Exception e) {
            System.out.println(name + " throws");
        }
    }

    public static void main(String[] addresses) {
        ClientConfig config = new ClientConfig();
        config.setAppName("app1");
        config.setPassword("pw");
        config.setAddressList(Arrays.asList(addresses));
        PowerJobClient client = new PowerJobClient(config);
        SaveJobInfoRequest job = new SaveJobInfoRequest();
        job.setJobName("nightly");
        job.setTimeExpressionType(TimeExpressionType.API);
        job.setExecuteType(ExecuteType.STANDALONE);
        job.setProcessorType(ProcessorType.BUILT_IN);
        job.setProcessorInfo("x");
        call("saveJob", () -> client.saveJob(job));
        call("copyJob", () -> client.copyJob(1L));
        call("runJob", () -> client.runJob(1L, "a b&c=1/ü+~*", 0));
        call("fetchAllJob", () -> client.fetchAllJob());
        System.exit(0);
    }
}
