package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

const unknownApp = `{"success":false,"data":null,"message":"can't find app"}`

// asked answers probes as a test says.
type asked struct {
	mu     sync.Mutex
	answer func() (*http.Response, error)
	at     []time.Time
}

func (a *asked) RoundTrip(*http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Now())
	return a.answer()
}

func (a *asked) says(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = func() (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(unknownApp))}, nil
	}
}

func (a *asked) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// probing is a prober whose server answers as a.
func probing(t *testing.T, a *asked) (p *Prober, stop func()) {
	t.Helper()
	p = New(&Target{Scheme: "http", Server: "127.0.0.1:1", Prefix: "/openApi", Host: func() string { return "" }, Client: a}, zap.NewNop())
	life, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(life) }()
	return p, func() { end(); <-done }
}

func TestAServerIsProbedAtMostEveryFiveSecondsAndNotOnceItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(asked)
		a.says(503)
		p, stop := probing(t, a)
		defer stop()
		time.Sleep(time.Minute - time.Second)
		if n := a.times(); n != 12 {
			t.Errorf("%d probes in a minute while it is not ready, want 12", n)
		}
		a.says(200)
		time.Sleep(time.Hour)
		if n := a.times(); n != 13 || !p.Ready() {
			t.Errorf("%d probes, want one more; ready %v", n, p.Ready())
		}
		// A connection that fails begins it anew, however many fail before the answer.
		a.mu.Lock()
		for range 100 {
			p.Doubt(&net.OpError{Err: syscall.ECONNREFUSED})
		}
		if p.Ready() {
			t.Error("ready after a refused connection")
		}
		a.mu.Unlock()
		time.Sleep(time.Minute)
		if n := a.times(); n != 14 || !p.Ready() {
			t.Errorf("%d probes, want one more; ready %v", n, p.Ready())
		}
		// Just after a probe, the next one waits.
		p.Doubt(errors.New("broken"))
		synctest.Wait()
		first := a.times()
		p.Trust(200)
		p.Doubt(errors.New("broken"))
		synctest.Wait()
		if n := a.times(); n > first+1 {
			t.Errorf("%d probes at once", n-first)
		}
		for i := 1; i < len(a.at); i++ {
			if pause := a.at[i].Sub(a.at[i-1]); pause < every {
				t.Errorf("probe %d came %s after the one before", i, pause)
			}
		}
	})
}

func TestARealAnswerMakesAServerReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(asked)
		a.says(503)
		p, stop := probing(t, a)
		defer stop()
		synctest.Wait()
		for _, c := range []struct {
			status int
			want   bool
		}{{500, false}, {400, false}, {508, false}, {200, true}} {
			if p.Trust(c.status); p.Ready() != c.want {
				t.Errorf("after an answer with %d: ready %v", c.status, p.Ready())
			}
		}
		time.Sleep(time.Hour)
		if n := a.times(); n != 1 {
			t.Errorf("%d probes, want the first alone", n)
		}
	})
}

// tunnel is the body of a 101: it ends when it is closed, and not before.
type tunnel struct {
	once   sync.Once
	closed chan struct{}
}

func (e *tunnel) Read([]byte) (int, error) { <-e.closed; return 0, io.EOF }
func (e *tunnel) Close() error             { e.once.Do(func() { close(e.closed) }); return nil }

// Else stopping, and a reload, would wait for such a server for ever.
func TestAProbeThatIsAnsweredByATunnelEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{answer: func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{}, Body: &tunnel{closed: make(chan struct{})}}, nil
		}}
		_, stop := probing(t, a)
		synctest.Wait()
		stop()
	})
}
