package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/standin/legacy"
)

// TestKubeServingGoesOnWhileTheAPIServerIsAway for 5 s, or for $KUBE_AWAY.
func TestKubeServingGoesOnWhileTheAPIServerIsAway(t *testing.T) {
	away, err := time.ParseDuration(cmp.Or(os.Getenv("KUBE_AWAY"), "5s"))
	if err != nil {
		t.Fatal(err)
	}
	c := needCluster(t)
	i := c.install(t, "away", "")
	replica := i.run(t, "one", c.url).ready(t)
	server, address := startStandIn(t, legacy.Options{})
	c.apply(t, localhostService("standin", address)+ingressYAML("one", i.namespace, "", "standin", ""), "-n", i.namespace)
	nothing := func() string { return "" }
	await.That(t, "it is served", replica.serves("one.test", "/"), nothing)

	client := newClient(t, v510, standInApp, replica.Listen)
	done := make(chan struct{})
	var calling sync.WaitGroup
	calls := 0
	calling.Go(func() {
		for ; ; calls++ {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond): // a client that has other things to do
			}
			client.must(t, 0, "saveJob", job(fmt.Sprint("job ", calls)))
		}
	})
	c.tell(t, "stop")
	late := i.run(t, "two", c.url) // one that starts now
	for end := time.Now().Add(away); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if !replica.isReady() {
			t.Error("it is not ready while the API server is away")
			break
		}
	}
	if late.isReady() {
		t.Error("a replica that has read nothing is ready")
	}
	if status, _ := late.get("one.test", "/"); status != http.StatusServiceUnavailable {
		t.Errorf("a replica that has read nothing answers %d", status)
	}
	c.tell(t, "start")
	close(done)
	calling.Wait()
	if got := server.Executed("saveJob"); got != calls || calls == 0 {
		t.Errorf("%d of %d calls were executed", got, calls)
	}
	late.ready(t)
	c.apply(t, ingressYAML("two", i.namespace, "two.test", "standin", ""), "-n", i.namespace)
	await.That(t, "what is new is served", replica.serves("two.test", "/"), nothing)
	await.That(t, "somebody leads", func() bool { return i.addresses(t, "two") != "null" }, nothing)
	t.Logf("away for %v: %d calls, each executed once", away, calls)
}
