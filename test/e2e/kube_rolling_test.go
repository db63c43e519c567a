package e2e

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/standin/legacy"
)

// kubeService is what a Service is to connections: each goes to one of the
// endpoints, in turn, and stays there.
type kubeService struct {
	address   string
	endpoints atomic.Pointer[[]string]
	next      atomic.Int64
}

func startKubeService(t *testing.T, endpoints ...string) *kubeService {
	t.Helper()
	ln, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	b := &kubeService{address: ln.Addr().String()}
	b.endpoints.Store(&endpoints)
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			passing.Go(func() { b.pass(conn) })
		}
	})
	t.Cleanup(passing.Wait)
	t.Cleanup(func() { _ = ln.Close() })
	return b
}

func (b *kubeService) pass(from net.Conn) {
	defer func() { _ = from.Close() }()
	list := *b.endpoints.Load()
	to, err := net.Dial("tcp", list[int(b.next.Add(1))%len(list)])
	if err != nil {
		return // as with a Service: the caller's connection ends
	}
	defer func() { _ = to.Close() }()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite() // the caller has ended; its answer may be on the way
	}()
	_, _ = io.Copy(from, to)
}

// add and remove are what the cluster does when a Pod becomes ready, and some
// time after it was told to end.
func (b *kubeService) add(endpoint string) {
	list := append(slices.Clone(*b.endpoints.Load()), endpoint)
	b.endpoints.Store(&list)
}

func (b *kubeService) remove(endpoint string) {
	list := slices.DeleteFunc(slices.Clone(*b.endpoints.Load()), func(e string) bool { return e == endpoint })
	b.endpoints.Store(&list)
}

// TestKubeARollingUpdateLosesNoCall replaces both replicas as a Deployment with
// the chart's maxUnavailable 0 and maxSurge 1 does: the new one is ready before
// the old one is told to end, and the old one gets connections until the Service
// has forgotten it, which is before shutdown.delay is over.
func TestKubeARollingUpdateLosesNoCall(t *testing.T) {
	c := needCluster(t)
	i := c.install(t, "rolling", "")
	strategy := c.reading(t, "/apis/apps/v1/namespaces/rolling/deployments/rolling")
	for key, want := range map[string]any{"maxUnavailable": 0.0, "maxSurge": 1.0} {
		if got := strategy.at("spec", "strategy", "rollingUpdate", key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if got := strategy.at("spec", "minReadySeconds"); got != 5.0 {
		t.Errorf("minReadySeconds is %v", got)
	}
	server, address := startStandIn(t, legacy.Options{})
	c.apply(t, localhostService("standin", address)+ingressYAML("one", i.namespace, "", "standin", ""), "-n", i.namespace)
	replicas := []*controller{i.run(t, "0", c.url).ready(t), i.run(t, "1", c.url).ready(t)}
	service := startKubeService(t, replicas[0].Listen, replicas[1].Listen)

	client := newClient(t, v510, standInApp, service.address)
	var calls [3]atomic.Int64
	done := make(chan struct{})
	var calling sync.WaitGroup
	for thread := range calls {
		calling.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				client.must(t, thread, "saveJob", job(fmt.Sprintf("thread %d, job %d", thread, calls[thread].Load())))
				calls[thread].Add(1)
			}
		})
	}
	sum := func() (n int64) {
		for thread := range calls {
			n += calls[thread].Load()
		}
		return n
	}
	more := func(n int64) {
		t.Helper()
		from := sum()
		await.That(t, "calls go on", func() bool { return sum() >= from+n || t.Failed() }, func() string { return "" })
	}
	more(20)
	for n, old := range replicas {
		replacement := i.run(t, fmt.Sprint("new ", n), c.url).ready(t)
		service.add(replacement.Listen)
		old.Signal(t, syscall.SIGTERM)
		await.That(t, "the old one is no longer ready", func() bool { return !old.isReady() }, func() string { return "" })
		more(20) // some of them come to it
		service.remove(old.Listen)
		<-old.Ended
		more(20)
	}
	close(done)
	calling.Wait()
	if got := int64(server.Executed("saveJob")); got != sum() {
		t.Errorf("%d of %d calls were executed", got, sum())
	}
	t.Logf("%d calls, none lost and none executed twice", sum())
}
