package conversation

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/leaks"
	"powerjob-shim/internal/tcpfaults"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// serving is a server that does what serve does with each connection.
func serving(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	return tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		serve(c)
	})
}

func newCall(t *testing.T, addr, body string) Call {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/openApi/x", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return Call{Request: r}
}

// A server may refuse a request that it does not read on.
func TestAnAnswerThatComesBeforeTheRequestIsWrittenIsTaken(t *testing.T) {
	for _, closes := range []bool{false, true} {
		done := make(chan struct{})
		addr := serving(t, func(c net.Conn) {
			_, _ = bufio.NewReaderSize(c, 16).ReadString('\n')
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			if closes {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			<-done
		})
		pool := &Pool{Connect: direct}
		res, err := pool.Send(newCall(t, addr, strings.Repeat("x", 32<<20)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != 413 || string(body) != "no" || err != nil || pool.Idle() != 0 {
			t.Errorf("got %d %q, %v; %d connections kept, want none", res.StatusCode, body, err, pool.Idle())
		}
		close(done)
	}
}

// Time ends a call wherever it is, and says whether a byte was sent.
func TestTimeEndsACallAtEachPoint(t *testing.T) {
	for name, text := range map[string]string{
		"before the answer":         "",
		"in the answer's head":      "HTTP/1.1 200 OK\r\nX-A",
		"after an informational":    "HTTP/1.1 103 Early Hints\r\n\r\n",
		"in the body":               "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
		"in a chunk":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"while the request is sent": "does not read",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := make(chan struct{})
			addr := serving(t, func(c net.Conn) {
				if text != "does not read" {
					_, _ = http.ReadRequest(bufio.NewReader(c))
					_, _ = io.WriteString(c, text)
				}
				<-done
			})
			defer close(done)
			body := "ping"
			if text == "does not read" {
				body = strings.Repeat("x", 16<<20)
			}
			pool := &Pool{Connect: direct}
			var err error
			for limit := time.Second; limit < patience; limit *= 2 { // the request may be late on a busy machine
				call := newCall(t, addr, body)
				call.Until = time.Now().Add(limit)
				var res *http.Response
				if res, err = pool.Send(call); err == nil {
					_, err = io.ReadAll(res.Body)
					break
				}
				if failed := new(Error); errors.As(err, &failed) && failed.Sent && failed.Connected {
					break
				}
				t.Logf("within %s: %v", limit, err)
			}
			if !errors.Is(err, context.DeadlineExceeded) || pool.Idle() != 0 {
				t.Errorf("got %v, want that time is over; %d connections kept, want none", err, pool.Idle())
			}
		})
	}
}

func TestTheHeadHasATimeOfItsOwn(t *testing.T) {
	goOn := make(chan struct{})
	addr := serving(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		_, _ = http.ReadRequest(r)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
		<-goOn
		_, _ = io.WriteString(c, "cd")
		_, _ = r.ReadByte()
	})
	var (
		pool  *Pool
		res   *http.Response
		err   error
		limit = 200 * time.Millisecond
	)
	for ; limit < patience; limit *= 2 { // the head may be late on a busy machine
		pool = &Pool{Connect: direct, HeadTimeout: limit}
		if res, err = pool.Send(newCall(t, addr, "ping")); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(limit*3/2, func() { close(goOn) })
	if body, err := io.ReadAll(res.Body); string(body) != "abcd" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	if pool.Idle() != 1 {
		t.Errorf("%d connections kept, want 1", pool.Idle())
	}
	pool.CloseIdle()
}

// unending is a request's body that has no end.
type unending struct{}

func (unending) Read(p []byte) (int, error) { return len(p), nil }
func (unending) Close() error               { return nil }

// stream sends a request without an end, and returns what is answered.
func stream(t *testing.T, addr string, limit time.Duration) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/upload", unending{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&Pool{Connect: direct}).Stream(Stream{Request: r, HeadTimeout: limit})
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// A server that is stopped takes connections, and nothing of what is sent on them.
func TestAServerThatTakesNothingOfAStreamIsGivenUp(t *testing.T) {
	done := make(chan struct{})
	addr := serving(t, func(net.Conn) { <-done })
	defer close(done)
	_, err := stream(t, addr, 100*time.Millisecond)
	if failed := new(Error); !errors.As(err, &failed) || !failed.Sent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that time is over, and that something was sent", err)
	}
}

// One that takes a little now and then is not.
func TestAServerThatTakesAStreamSlowlyIsWaitedFor(t *testing.T) {
	var within atomic.Int64 // nanoseconds
	done := make(chan struct{})
	defer close(done)
	addr := serving(t, func(c net.Conn) {
		limit := time.Duration(within.Load())
		piece := make([]byte, 1<<20)
		for begun := time.Now(); time.Since(begun) < 3*limit; time.Sleep(limit / 50) {
			if _, err := io.ReadFull(c, piece); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-done
	})
	var got string
	var err error
	for limit := 200 * time.Millisecond; limit < patience; limit *= 2 { // the server may be late on a busy machine
		within.Store(int64(limit))
		if got, err = stream(t, addr, limit); err == nil {
			break
		}
	}
	if got != "ok" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestWhoeverWatchesEndsACall(t *testing.T) {
	left := errors.New("the caller left")
	for name, text := range map[string]string{
		"before the answer": "",
		"in the body":       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
	} {
		done := make(chan struct{})
		addr := serving(t, func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, text)
			<-done
		})
		call, asked := newCall(t, addr, "ping"), 0
		call.Watch = func() error {
			if asked++; asked > 1 {
				return left
			}
			return nil
		}
		res, err := (&Pool{Connect: direct}).Send(call)
		if err == nil {
			_, err = io.ReadAll(res.Body)
		}
		if !errors.Is(err, left) {
			t.Errorf("%s: got %v", name, err)
		}
		close(done)
	}
}

func TestWhoIsAskedBeforehandCanHoldARequestBack(t *testing.T) {
	got := make(chan int, 1)
	addr := serving(t, func(c net.Conn) {
		all, _ := io.ReadAll(c)
		got <- len(all)
	})
	held := errors.New("held back")
	call := newCall(t, addr, "ping")
	call.Before = func() error { return held }
	_, err := (&Pool{Connect: direct}).Send(call)
	if failed := new(Error); !errors.As(err, &failed) || failed.Sent || !failed.Connected || !errors.Is(err, held) {
		t.Errorf("got %+v, want one that was not sent", failed)
	}
	if n := <-got; n != 0 {
		t.Errorf("the server got %d bytes, want none", n)
	}
}

// The connection ends here before it ends there.
func TestUnusedConnectionsEnd(t *testing.T) {
	ended := make(chan error, 1)
	addr := serving(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		req, _ := http.ReadRequest(r)
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		_, err := r.ReadByte()
		ended <- err
	})
	pool := &Pool{Connect: direct, IdleTimeout: 20 * time.Millisecond}
	if _, err := pool.Send(newCall(t, addr, "ping")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("the server saw %v, want the end", err)
	}
	await.That(t, "no connection is kept", func() bool { return pool.Idle() == 0 })
	await.That(t, "no timer runs", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return pool.sweeper == nil && len(pool.idle) == 0
	})
}

// What nobody asked for ends a connection, and is told of.
func TestAConnectionWithUnaskedBytesIsNotUsedAgain(t *testing.T) {
	for name, texts := range map[string][2]string{
		"in one piece":  {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", ""},
		"a while after": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\n"},
	} {
		more, sent := make(chan struct{}), make(chan struct{})
		addr := serving(t, func(c net.Conn) {
			r := bufio.NewReader(c)
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(c, texts[0])
			<-more
			_, _ = io.WriteString(c, texts[1])
			sent <- struct{}{}
			_, _ = r.ReadByte()
		})
		suspects := make(chan string, 2)
		pool := &Pool{Connect: direct, Suspect: func(server string) { suspects <- server }}
		for i := range 2 {
			res, err := pool.Send(newCall(t, addr, "ping"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.ReadAll(res.Body)
			if i == 0 {
				more <- struct{}{}
				<-sent
				runtime.Gosched()
			}
		}
		if got := <-suspects; got != addr {
			t.Errorf("%s: told of %q, want %q", name, got, addr)
		}
		pool.CloseIdle()
		close(more)
		<-sent
	}
}
