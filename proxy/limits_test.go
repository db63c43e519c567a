package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// busy is an upstream whose answers to /slow wait until release is called.
func busy(t *testing.T) (url string, arrived chan struct{}, release func()) {
	t.Helper()
	arrived = make(chan struct{}, 100)
	open := make(chan struct{})
	var once atomic.Bool
	release = func() {
		if once.CompareAndSwap(false, true) {
			close(open)
		}
	}
	url = upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-open
		}
		_, _ = io.WriteString(w, okBody)
	})
	t.Cleanup(release)
	return url, arrived, release
}

func TestBeyondMaxRequestsCallersGet503AlsoAfterAReload(t *testing.T) {
	url, arrived, release := busy(t)
	settings := answering(settingsFor(t, url))
	u := settings.Upstreams["default"]
	u.MaxRequests = 2
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	answers := make(chan string, 2)
	for range 2 {
		go func() { answers <- raw(t, s.addr, request("GET", "/slow", "")) }()
		<-arrived
	}
	for i := range 2 {
		got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
		if statusOf(got) != 503 || !strings.Contains(got, "max_requests") || lines(got, "retry-after") != nil || lines(got, authLine) != nil {
			t.Errorf("the client got %q", got)
		}
		if i == 0 {
			u.Timeout++
			if err := s.Swap(Settings{Upstreams: map[string]Upstream{"default": u}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	release()
	for range 2 {
		if got := <-answers; statusOf(got) != 200 {
			t.Errorf("an admitted client got %q", got)
		}
	}
	eventually(t, "there is room again", func() bool { return statusOf(raw(t, s.addr, request("GET", "/", ""))) == 200 })
}

func TestAServerWithoutAFreeConnectionIsPassedOver(t *testing.T) {
	a, arrivedA, releaseA := busy(t)
	b, arrivedB, releaseB := busy(t)
	settings := answering(settingsFor(t, a, b))
	u := settings.Upstreams["default"]
	u.MaxConnections = 1
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	answers := make(chan string, 2)
	for range 2 {
		go func() { answers <- raw(t, s.addr, request("GET", "/slow", "")) }()
	}
	<-arrivedA // one each, whichever came first
	<-arrivedB
	got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	if statusOf(got) != 503 || !strings.Contains(got, "max_connections") || lines(got, "retry-after") != nil {
		t.Errorf("the client got %q", got)
	}
	releaseA()
	if got := <-answers; statusOf(got) != 200 {
		t.Errorf("the first client got %q", got)
	}
	eventually(t, "there is room again", func() bool { return statusOf(raw(t, s.addr, request("GET", "/", ""))) == 200 })
	releaseB()
	<-answers
	for _, srv := range s.snap.Load().Groups["default"].Upstream.Servers {
		eventually(t, "nothing is in flight", func() bool { return srv.InFlight() == 0 })
	}
}
