package plain

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/proxy/listen/handover"
)

// A caller who goes on writing when he has been answered must get the answer, and
// no reset. Lingering ends after half a second, so that a test on a machine that
// stalls may need more than one try.
func TestAnAnswerReachesACallerWhoIsStillWriting(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, nil)
	const size = 900 << 10 // more than is read to keep the connection, less than what is lingered for
	try := func() error {
		c := s.dial(t)
		defer func() { _ = c.Close() }()
		write(t, c, fmt.Sprintf("POST /openApi/unread HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size))
		rd := bufio.NewReader(c)
		if _, err := rd.Peek(1); err != nil { // the answer is here
			return err
		}
		for range 9 {
			if _, err := io.WriteString(c, strings.Repeat("x", size/9)); err != nil {
				return err
			}
		}
		res, err := http.ReadResponse(rd, nil)
		if err == nil && (res.StatusCode != http.StatusForbidden || !res.Close) {
			t.Fatalf("the caller got %+v; want 403 and the end of the connection", res)
		}
		return err
	}
	var err error
	for range 20 {
		if err = try(); err == nil {
			return
		}
	}
	t.Errorf("in twenty tries no answer reached its caller: %v", err)
}

func TestAConnectionIsHandedOverInTheMiddle(t *testing.T) {
	config := certified(t)
	for _, secure := range []*tls.Config{nil, config} {
		type seen struct {
			own        bool
			path, from string
			tls        bool
		}
		got := make(chan seen, 10)
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got <- seen{CallerOf(r.Context()) != nil, r.URL.Path, r.RemoteAddr, r.TLS != nil && r.TLS.HandshakeComplete}
			_, _ = w.Write(body)
		}, secure)
		c := s.dial(t)
		from := c.LocalAddr().String()
		if secure != nil {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		rd := bufio.NewReader(c)
		write(t, c, call("echo", "one")+"GET /ui HTTP/1.1\r\nHost: h\r\n\r\n"+call("echo", "three"))
		for i, want := range []seen{{true, "/openApi/echo", from, secure != nil}, {false, "/ui", from, secure != nil}, {false, "/openApi/echo", from, secure != nil}} {
			if status, _ := answerOf(t, rd); status != http.StatusOK {
				t.Errorf("request %d: status %d", i, status)
			}
			if s := <-got; s != want {
				t.Errorf("request %d was seen as %+v, want %+v", i, s, want)
			}
		}
	}
}

// Those that are unused are closed at once; requests in flight end in peace, those
// of net/http's server too, and one that is handed over meanwhile is served.
func TestShutdownLetsRequestsEnd(t *testing.T) {
	arrived, release := make(chan string, 3), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openApi/quick" {
			arrived <- r.URL.Path
			<-release
		}
		_, _ = io.WriteString(w, "done")
	}, nil)
	idle, busy, handed := s.dial(t), s.dial(t), s.dial(t)
	write(t, idle, call("quick", ""))
	answerOf(t, bufio.NewReader(idle))
	write(t, busy, call("slow", ""))
	<-arrived
	write(t, handed, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-arrived
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.Background()) }()
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an unused connection ended with %v, want EOF", err)
	}
	if c, err := net.Dial("tcp", s.addr); err == nil {
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a new connection was served")
		}
		_ = c.Close()
	}
	select {
	case err := <-ended:
		t.Errorf("Shutdown returned %v with requests in flight", err)
	default:
	}
	close(release)
	for _, c := range []net.Conn{busy, handed} {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusOK || !res.Close {
			t.Errorf("a request in flight got %+v, %v; want 200 and the end of the connection", res, err)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}, nil)
	write(t, s.dial(t), call("slow", ""))
	<-arrived
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	close(release)
}

func TestAPanicCostsOneConnection(t *testing.T) {
	var logged bytes.Buffer
	var mu sync.Mutex
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/openApi/panic":
			panic("a fault")
		case "/openApi/abort":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "well")
	}, nil)
	s.HTTP.ErrorLog.SetOutput(writer(func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		logged.Write(p)
	}))
	defer s.HTTP.ErrorLog.SetOutput(io.Discard)
	other := s.dial(t)
	rd := bufio.NewReader(other)
	for _, what := range []string{"panic", "abort"} {
		c := s.dial(t)
		write(t, c, call(what, ""))
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("%s: the caller got %q, %v; want the end", what, b, err)
		}
		write(t, other, call("echo", ""))
		if status, body := answerOf(t, rd); status != 200 || body != "well" {
			t.Errorf("%s: another caller got %d %q", what, status, body)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if strings.Count(logged.String(), "panic serving") != 1 || !strings.Contains(logged.String(), "a fault") {
		t.Errorf("logged %q; want one fault", logged.String())
	}
}

type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// A body's reader that outlives its request gets nothing of the next one.
func TestABodyEndsWithItsRequest(t *testing.T) {
	bodies := make(chan io.Reader, 2)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		bodies <- r.Body
		if len(bodies) == 2 {
			first := <-bodies
			if n, err := first.Read(make([]byte, 10)); n > 0 || err == nil {
				t.Errorf("the first body's reader got %d bytes, %v", n, err)
			}
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %v", body, err)
		}
	}, nil)
	c := s.dial(t)
	rd := bufio.NewReader(c)
	write(t, c, call("a", "one"))
	answerOf(t, rd)
	write(t, c, call("b", "two"))
	if _, body := answerOf(t, rd); body != "two <nil>" {
		t.Errorf("the second body was read as %q", body)
	}
}

// What a request sets for its connection is nothing to the next one, and a
// goroutine that it leaves behind sets nothing.
func TestDeadlinesEndWithTheirRequest(t *testing.T) {
	var before http.ResponseWriter
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if before == nil {
			before = w
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second / 10))
			return
		}
		if err := http.NewResponseController(before).SetReadDeadline(time.Unix(1, 0)); err == nil {
			t.Error("a deadline was set for a request that is over")
		}
		time.Sleep(time.Second / 5)
		_, _ = io.Copy(w, r.Body)
	}, nil)
	c := s.dial(t)
	rd := bufio.NewReader(c)
	write(t, c, call("a", "one"))
	answerOf(t, rd)
	message := call("b", "two")
	write(t, c, message[:len(message)-1])
	write(t, c, message[len(message)-1:])
	if _, body := answerOf(t, rd); body != "two" {
		t.Errorf("the second request got %q", body)
	}
}

func TestAnIdleConnectionHoldsNoBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := handover.NewListener(&net.TCPAddr{})
		s := &Server{HTTP: &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute, ErrorLog: quiet}, Plain: func(string, int64) bool { return true }}
		done := make(chan error, 1)
		go func() { done <- s.Serve(l) }()
		near, far := net.Pipe()
		l.Give(far)
		rd := bufio.NewReader(near)
		for range 2 {
			write(t, near, call("echo", "one"))
			if status, _ := answerOf(t, rd); status != http.StatusNotFound {
				t.Errorf("status %d", status)
			}
			time.Sleep(2 * soon)
			synctest.Wait()
			for c := range s.conns {
				if c.store != nil || c.buf != nil {
					t.Error("an idle connection holds a buffer")
				}
			}
		}
		_ = near.Close()
		_ = s.Close()
		<-done //nolint:errcheck // that it is closed
	})
}

// Whatever comes when a connection has been idle for longer than soon is served as if
// it had come at once: by then another goroutine serves it, and has no buffer.
func TestNothingIsLostAfterAPause(t *testing.T) {
	get := "GET /odd HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, pieces := range map[string][]string{
		"a plain request":                {call("plain", "one")},
		"a byte, and then the rest":      {call("plain", "one")[:1], call("plain", "one")[1:]},
		"another pause within the head":  {call("plain", "one")[:20], "", call("plain", "one")[20:]},
		"what net/http serves":           {get},
		"a byte of what net/http serves": {get[:1], get[1:]},
		"an empty line before it":        {"\r\n", call("plain", "one")},
		"two at once":                    {call("plain", "one") + call("plain", "one")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := handover.NewListener(&net.TCPAddr{})
				s := &Server{
					HTTP: &http.Server{ReadHeaderTimeout: time.Minute, IdleTimeout: time.Hour, ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						body, _ := io.ReadAll(r.Body)
						_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
					})},
					Plain: func(string, int64) bool { return true },
				}
				done := make(chan error, 1)
				go func() { done <- s.Serve(l) }()
				near, far := net.Pipe()
				l.Give(far)
				rd := bufio.NewReader(near)
				write(t, near, call("first", "")) // an empty line may come after it only
				answerOf(t, rd)
				for range 3 {
					time.Sleep(2 * soon)
					want := "POST /openApi/plain one"
					for _, piece := range pieces {
						if piece == "" {
							time.Sleep(2 * soon)
							continue
						}
						write(t, near, piece)
						if strings.HasPrefix(piece, "G") {
							want = "GET /odd "
						}
					}
					for range max(1, strings.Count(strings.Join(pieces, ""), " HTTP/1.1")) {
						if status, body := answerOf(t, rd); status != http.StatusOK || body != want {
							t.Errorf("status %d, %q, want %q", status, body, want)
						}
					}
				}
				_ = near.Close()
				_ = s.Close()
				<-done //nolint:errcheck // that it is closed
			})
		})
	}
}

// A listener that fails ends Serve, with its error.
func TestServeReturnsTheListenersError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{HTTP: &http.Server{Handler: http.NotFoundHandler(), ErrorLog: quiet}, Plain: func(string, int64) bool { return true }}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	write(t, c, call("echo", ""))
	answerOf(t, bufio.NewReader(c))
	_ = ln.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

// What a call costs here, the handler apart: 12, and a few where the race detector
// or a collection empties the pools.
func TestACallTakesFewAllocations(t *testing.T) {
	const most = 20
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.(*body).Arrived()
		_, _ = io.WriteString(w, "well")
	}, nil)
	c := s.dial(t)
	message, answer := []byte(call("echo", "body")), make([]byte, 4096)
	took := testing.AllocsPerRun(200, func() {
		_, _ = c.Write(message)
		_, _ = c.Read(answer)
	})
	if t.Logf("%v allocations", took); took > most {
		t.Errorf("a call took %v allocations, want at most %d", took, most)
	}
}
