package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/shimtest"
)

// maxResident is what a controller with 1,000 Ingresses may use: the limit that
// the chart's values name for hundreds of them.
const maxResident = 256 << 20

// TestKubeAThousandIngresses are served by a controller that sees them come, and
// by one that finds them there.
func TestKubeAThousandIngresses(t *testing.T) {
	c := needCluster(t)
	i := c.install(t, "thousand", "")
	first := i.run(t, "one", c.url).ready(t)
	c.apply(t, localhostService("page", page(t))+ingressYAML("h0", i.namespace, "h0.test", "page", ""), "-n", i.namespace)
	await.That(t, "the first is served", first.serves("h0.test", "/"), func() string { return "" })
	alone := resident(t, first)
	one := first.cost(t, "h0.test")

	start := time.Now()
	numbers := make(chan int)
	var creating sync.WaitGroup
	for range 8 {
		creating.Go(func() {
			for n := range numbers {
				o := objects(t, ingressYAML(fmt.Sprint("h", n), i.namespace, fmt.Sprintf("h%d.test", n), "page", ""))[0]
				if err := c.do(http.MethodPost, "/apis/networking.k8s.io/v1/namespaces/"+i.namespace+"/ingresses", map[string]any(o), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := 1; n < 1000; n++ {
		numbers <- n
	}
	close(numbers)
	creating.Wait()
	made := time.Since(start)
	all := func(r *controller) func() bool {
		return func() bool {
			return r.metric(t, "powerjob_shim_ingress_ingresses") == 1000 && r.serves("h999.test", "/")()
		}
	}
	await.That(t, "all are served", all(first), func() string { return "" })
	served := time.Since(start)
	await.That(t, "all have a status", func() bool { return i.withStatus(t) == 1000 }, func() string { return fmt.Sprint(i.withStatus(t), " have one") })
	many := first.cost(t, "h999.test")
	grown := resident(t, first)

	start = time.Now()
	second := i.run(t, "two", c.url).ready(t)
	if !all(second)() {
		t.Error("a new replica is ready before it serves all")
	}
	loaded := time.Since(start)
	fresh := resident(t, second)
	if max(grown, fresh) > maxResident {
		t.Errorf("%d MiB and %d MiB are resident", grown>>20, fresh>>20)
	}
	t.Logf("resident: %d MiB with one, %d MiB after 1,000 came, %d MiB in a new replica", alone>>20, grown>>20, fresh>>20)
	t.Logf("made in %v, the last served after %v; a new replica is ready %v after its start", made.Round(time.Millisecond), served.Round(time.Millisecond), loaded.Round(time.Millisecond))
	t.Logf("CPU for 1,000 requests: %v with one, %v with 1,000", one, many)
	ingress, err := ingressBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{shimtest.Binary(t), ingress} {
		if file, err := os.Stat(path); err == nil {
			t.Logf("size of %s: %.1f MB", filepath.Base(path), float64(file.Size())/1e6)
		}
	}
}

// resident is a process's resident set, in bytes.
func resident(t testing.TB, c *controller) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// cost is the processor time that a replica takes for 1,000 requests to a host;
// the clock's ticks make it a multiple of 10 ms.
func (c *controller) cost(t testing.TB, host string) time.Duration {
	t.Helper()
	used := func() time.Duration {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		sum := 0
		for _, f := range fields[11:13] { // utime and stime
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		return time.Duration(sum) * 10 * time.Millisecond
	}
	least := time.Hour
	for range 3 { // what else it does meanwhile does not count
		before := used()
		for range 1000 {
			if status, body := c.get(host, "/"); status != http.StatusOK {
				t.Fatalf("%s: %d %s", host, status, body)
			}
		}
		least = min(least, used()-before)
	}
	return least
}

// withStatus is how many of a release's Ingresses have addresses.
func (i *installed) withStatus(t testing.TB) (n int) {
	t.Helper()
	var list struct {
		Items []struct {
			Status struct{ LoadBalancer struct{ Ingress []any } }
		}
	}
	i.cluster.must(t, http.MethodGet, "/apis/networking.k8s.io/v1/namespaces/"+i.namespace+"/ingresses", nil, &list)
	for _, ing := range list.Items {
		if len(ing.Status.LoadBalancer.Ingress) > 0 {
			n++
		}
	}
	return n
}
