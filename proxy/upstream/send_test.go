package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
)

// serving is the base address of a server that does what serve does with each
// request, whose body is given, and then closes the connection.
func serving(t testing.TB, serve func(c net.Conn, body string)) string {
	t.Helper()
	return "http://" + tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		serve(c, string(body))
	})
}

// nobody is the base address of a server that refuses connections.
func nobody(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0") // not 127.0.0.1: a server of this test could get the port
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return "http://" + ln.Addr().String()
}

// answering counts requests and answers them.
func answering(t testing.TB, got *atomic.Int64, head string) string {
	t.Helper()
	return serving(t, func(c net.Conn, _ string) {
		got.Add(1)
		_, _ = io.WriteString(c, head+"\r\nContent-Length: 2\r\n\r\nok")
	})
}

// held is a request whose body is in memory.
func held(t testing.TB, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://g/openApi/saveJob", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAResultSaysHowFarTheRequestGot(t *testing.T) {
	for _, c := range []struct {
		name     string
		answer   string // "": the connection is cut
		refuses  bool
		harmless bool
		want     Outcome
		executed int64
	}{
		{name: "an answer", answer: "HTTP/1.1 200 OK", want: Answered, executed: 1},
		{name: "an error of the server's", answer: "HTTP/1.1 500 No", want: Answered, executed: 1},
		{name: "no server", refuses: true, want: NotSent},
		{name: "cut", want: Unknown, executed: 1},
		{name: "cut, and harmless to repeat", harmless: true, want: Unknown, executed: 2},
		{name: "no valid status", answer: "HTTP/1.1 000 OK", want: Unknown, executed: 1},
		{name: "a shim whose server got nothing", answer: "HTTP/1.1 502 No\r\nX-Powerjob-Shim: unanswered", want: NotSent, executed: 1},
		{name: "a status that only looks like it", answer: "HTTP/1.1 500 No\r\nX-Powerjob-Shim: unanswered", want: Answered, executed: 1},
	} {
		var executed atomic.Int64
		server := nobody(t)
		if !c.refuses {
			server = serving(t, func(conn net.Conn, _ string) {
				executed.Add(1)
				if c.answer != "" {
					_, _ = io.WriteString(conn, c.answer+"\r\nContent-Length: 2\r\n\r\nok")
				}
			})
		}
		g := groupOf(t, Settings{Timeout: patience}, server)
		r := g.Send(Request{HTTP: held(t, "{}"), Call: "saveJob", Harmless: c.harmless})
		if r.Outcome != c.want || executed.Load() != c.executed || (r.Err == nil) != (c.want == Answered) || (r.Response == nil) != (r.Err != nil) {
			t.Errorf("%s: outcome %d, %d executed, response %v, error %v", c.name, r.Outcome, executed.Load(), r.Response, r.Err)
		}
		if r.Server != g.Servers[0] || r.Took <= 0 || r.Server.InFlight() != 1 {
			t.Errorf("%s: server %v after %v, with %d in flight", c.name, r.Server, r.Took, g.Servers[0].InFlight())
		}
		if r.Response != nil {
			if body, err := io.ReadAll(r.Response.Body); string(body) != "ok" || err != nil {
				t.Errorf("%s: the body is %q, %v", c.name, body, err)
			}
			_ = r.Response.Body.Close()
		}
		if r.Server.Leave(); g.Servers[0].InFlight() != 0 {
			t.Errorf("%s: %d in flight at the end", c.name, g.Servers[0].InFlight())
		}
	}
}

func TestAnotherServerIsTriedOnlyWhileNothingIsSent(t *testing.T) {
	for range 10 { // which one comes first is chance
		var got atomic.Int64
		g := groupOf(t, Settings{Timeout: patience}, nobody(t), answering(t, &got, "HTTP/1.1 200 OK"), nobody(t))
		r := g.Send(Request{HTTP: held(t, "{}")})
		if r.Outcome != Answered || r.Server != g.Servers[1] || got.Load() != 1 {
			t.Fatalf("outcome %d at %v, %v", r.Outcome, r.Server, r.Err)
		}
		_ = r.Response.Body.Close()
		for i, want := range []int64{0, 1, 0} {
			if n := g.Servers[i].InFlight(); n != want {
				t.Errorf("server %d has %d in flight, want %d", i, n, want)
			}
		}
		r = g.Send(Request{HTTP: held(t, "{}"), Only: g.Servers[0]})
		if r.Outcome != NotSent || r.Server != g.Servers[0] || got.Load() != 1 {
			t.Errorf("bound to a server that is away: outcome %d at %v", r.Outcome, r.Server)
		}
	}
}

func TestEachServerGetsWhatIsAddressedToIt(t *testing.T) {
	var got atomic.Pointer[string]
	first := nobody(t)
	second := serving(t, func(c net.Conn, body string) {
		got.Store(&body)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-odd-Case: 1\r\nContent-Length: 0\r\n\r\n")
	})
	g := groupOf(t, Settings{}, first, second)
	out := held(t, "as it came")
	var addressed []*Server
	var head bytes.Buffer
	r := g.Send(Request{HTTP: out, Head: &head, Address: func(s *Server) {
		addressed = append(addressed, s)
		own := "for " + s.Name
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(own)), nil }
		out.Body, _ = out.GetBody()
		out.ContentLength = int64(len(own))
	}})
	if r.Err != nil || addressed[len(addressed)-1] != r.Server || *got.Load() != "for "+g.Servers[1].Name {
		t.Fatalf("error %v; %v were addressed, and the server got %v", r.Err, addressed, got.Load())
	}
	if !strings.Contains(head.String(), "X-odd-Case: 1") {
		t.Errorf("the head is %q", head.String())
	}
	_ = r.Response.Body.Close()
}

// waiting is a caller as a test says.
type waiting struct {
	wanted, over, broken error
	asked                atomic.Int64 // how often a server's turn came to send
	cut                  atomic.Bool
	end                  func() // of the body; nil: nothing ends it
}

func (w *waiting) Wanted() error              { return w.wanted }
func (w *waiting) Over(context.Context) error { w.asked.Add(1); return w.over }
func (w *waiting) Broken() error              { return w.broken }
func (w *waiting) Cut() {
	w.cut.Store(true)
	if w.end != nil {
		w.end()
	}
}

func TestACallerWhoIsGoneIsNoFaultOfTheServer(t *testing.T) {
	for name, c := range map[string]*waiting{
		"gone before it is sent": {wanted: ErrHungUp}, "gone when it is sent": {over: ErrHungUp}, "its body is broken": {wanted: errors.New("x"), broken: errors.New("y")},
	} {
		var got atomic.Int64
		u := Settings{Health: Health{Passive: &PassiveHealth{Failures: 1, Eject: time.Hour, MaxEject: time.Hour}}}
		g := groupOf(t, u, answering(t, &got, "HTTP/1.1 200 OK"), answering(t, &got, "HTTP/1.1 200 OK"))
		r := g.Send(Request{HTTP: held(t, "{}"), Caller: c})
		if r.Outcome != NotSent || r.Err == nil || got.Load() != 0 || c.asked.Load() != 1 {
			t.Errorf("%s: outcome %d, %v, tried %d times; the servers got %d", name, r.Outcome, r.Err, c.asked.Load(), got.Load())
		}
		for _, s := range g.Servers {
			if s.Standing(time.Now()) != StandingUp {
				t.Errorf("%s: a server is %v", name, s.Standing(time.Now()))
			}
		}
	}
}

func TestAServerThatDiesWhileItsCallerSendsNothingEndsTheBody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() { // it dies once the head is there
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_ = c.Close()
	}()
	body, feed := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://g/upload", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = feed.Write([]byte("a")) }()
	c := &waiting{end: func() { _ = feed.CloseWithError(errors.New("cut")) }}
	res := groupOf(t, Settings{}, "http://"+ln.Addr().String()).Send(Request{HTTP: r, Caller: c})
	if res.Outcome != Unknown || res.Err == nil || !c.cut.Load() {
		t.Errorf("outcome %d, %v, cut %v", res.Outcome, res.Err, c.cut.Load())
	}
}

func TestAPanicLeavesNothingInFlight(t *testing.T) {
	g := groupOf(t, Settings{}, nobody(t))
	g.Connections.Connect = func(context.Context, string, func(net.Conn) net.Conn) (net.Conn, error) { panic("a fault") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		g.Send(Request{HTTP: held(t, "{}")})
	}()
	if n := g.Servers[0].InFlight(); n != 0 {
		t.Errorf("%d in flight", n)
	}
}

func TestNoServerIsGivenMoreThanItMayHave(t *testing.T) {
	var got atomic.Int64
	g := groupOf(t, Settings{MaxConnections: 1}, answering(t, &got, "HTTP/1.1 200 OK"))
	first := g.Send(Request{HTTP: held(t, "{}")})
	if second := g.Send(Request{HTTP: held(t, "{}")}); !errors.Is(second.Err, ErrAllFull) || second.Server != nil || second.Outcome != NotSent {
		t.Errorf("the second: %+v", second)
	}
	_ = first.Response.Body.Close()
	first.Server.Leave()
	third := g.Send(Request{HTTP: held(t, "{}")})
	if third.Outcome != Answered || got.Load() != 2 {
		t.Errorf("after the first left: outcome %d, %v; the server got %d", third.Outcome, third.Err, got.Load())
	}
	_ = third.Response.Body.Close()
}
