package plain

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"powerjob-shim/internal/await"
)

// asking serves calls whose caller the test asks. Once release is closed, calls
// that were left behind end without being asked about.
func asking(t *testing.T, secure *tls.Config, change ...func(*Server)) (s *serving, callers chan *Caller, release chan struct{}) {
	callers, release = make(chan *Caller), make(chan struct{})
	s = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case callers <- CallerOf(r.Context()):
			<-release
		case <-release:
		}
	}, secure, change...)
	return s, callers, release
}

// leaving are the ways in which a caller hangs up.
var leaving = map[string]func(c *net.TCPConn){
	"closed":            func(c *net.TCPConn) { _ = c.Close() },
	"reset":             func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	"half closed":       func(c *net.TCPConn) { _ = c.CloseWrite() },
	"behind more bytes": func(c *net.TCPConn) { _, _ = io.WriteString(c, call("echo", "next")); _ = c.Close() },
}

func TestACallerIsAskedWhetherHeIsThere(t *testing.T) {
	for name, leave := range leaving {
		t.Run(name, func(t *testing.T) {
			s, callers, release := asking(t, nil)
			defer close(release)
			c := s.dial(t)
			write(t, c, call("echo", "one"))
			caller := <-callers
			if caller.Gone() {
				t.Fatal("a caller who waits is said to be gone")
			}
			told := make(chan struct{})
			stop := caller.OnGone(func() { close(told) })
			leave(c.(*net.TCPConn))
			await.That(t, "the caller is gone", caller.Gone)
			<-told
			if stop() {
				t.Error("stop says that nobody was told")
			}
		})
	}
}

// A watched caller is not asked now and then: there is no timer.
func TestAWatchedCallersHangUpIsTold(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells of it")
	}
	watched := func(s *Server) { s.Watch = true }
	for name, leave := range leaving {
		t.Run(name, func(t *testing.T) {
			s, callers, release := asking(t, nil, watched)
			defer close(release)
			c := s.dial(t)
			write(t, c, call("echo", "one"))
			caller := <-callers
			told, late := make(chan struct{}), make(chan struct{})
			caller.OnGone(func() { t.Error("told after stop") })()
			stop := caller.OnGone(func() { close(told) })
			leave(c.(*net.TCPConn))
			<-told
			if stop() {
				t.Error("stop says that nobody was told")
			}
			defer caller.OnGone(func() { close(late) })()
			<-late // whoever asks afterwards learns it too
		})
	}
}

// On TLS a caller may hang up without closing the connection, which no socket tells:
// net/http's server, which reads on, sees it when it happens.
func TestAWatchedCallerOnTLSIsServedByNetHTTP(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere net/http's server serves all that are watched")
	}
	begun, gone := make(chan struct{}), make(chan struct{})
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if CallerOf(r.Context()) != nil {
			t.Error("he is served here")
			close(begun)
			return
		}
		close(begun)
		<-r.Context().Done()
		close(gone)
	}, certified(t), func(s *Server) { s.Watch = true })
	c := tls.Client(s.dial(t), &tls.Config{InsecureSkipVerify: true})
	write(t, c, call("echo", "one"))
	<-begun
	if t.Failed() {
		return
	}
	if err := c.CloseWrite(); err != nil { // close_notify, and no FIN
		t.Fatal(err)
	}
	<-gone
}

func TestACallerWhoStaysIsNotSaidToBeGone(t *testing.T) {
	s, callers, release := asking(t, nil)
	c := s.dial(t)
	write(t, c, call("echo", "one")+call("echo", "pipelined"))
	caller := <-callers
	stop := caller.OnGone(func() { t.Error("he is there") })
	if caller.Gone() {
		t.Error("a caller with another request behind this one is said to be gone")
	}
	time.Sleep(200 * time.Millisecond) // it has been asked twice
	if !stop() {
		t.Error("stop says that somebody was told")
	}
	release <- struct{}{}
	<-callers // the pipelined one is served as well
	close(release)
}

// On TLS the end may be said without closing the connection, and what has arrived
// may be the next request.
func TestACallerOnTLSIsAskedThroughTLS(t *testing.T) {
	config := certified(t)
	for _, more := range []bool{false, true} {
		s, callers, release := asking(t, config)
		c := tls.Client(s.dial(t), &tls.Config{InsecureSkipVerify: true})
		write(t, c, call("echo", "one"))
		caller := <-callers
		if more {
			write(t, c, call("echo", "two"))
			await.That(t, "the next request has arrived", func() bool {
				if caller.Gone() {
					t.Fatal("a caller with another request behind this one is said to be gone")
				}
				caller.conn.reading.Lock()
				defer caller.conn.reading.Unlock()
				return len(caller.conn.buf) == len(call("echo", "two"))
			})
			release <- struct{}{}
			caller = <-callers
		}
		if caller.Gone() {
			t.Error("a caller who waits is said to be gone")
		}
		if err := c.CloseWrite(); err != nil { // close_notify, and no FIN
			t.Fatal(err)
		}
		await.That(t, "the caller is gone", caller.Gone)
		close(release)
	}
}

// What cannot be watched is net/http's, which watches by reading.
func TestAConnectionThatCannotBeWatchedIsServedByNetHTTP(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a Watcher")
	}
	s, callers, release := asking(t, nil, func(s *Server) { s.Watch = true })
	defer close(release)
	write(t, s.dial(t), call("echo", "one"))
	if <-callers == nil {
		t.Fatal("a connection that can be watched is not")
	}
	release <- struct{}{}
	s.watcher.Close() // as if the system refused one more
	write(t, s.dial(t), call("echo", "two"))
	if caller := <-callers; caller != nil {
		t.Error("it is served here, unwatched")
	}
}
