package plain

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/testca"
)

// patience bounds what should happen at once; no test that passes waits for it.
const patience = 60 * time.Second

// serving is a Server at an address.
type serving struct {
	*Server
	addr string
	done chan error
}

// serve serves h, and takes every request under isPrefix for a plain one.
func serve(t testing.TB, h http.HandlerFunc, secure *tls.Config, change ...func(*Server)) *serving {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{addr: ln.Addr().String(), done: make(chan error, 1), Server: &Server{
		HTTP:  &http.Server{Handler: h, ReadHeaderTimeout: patience, ErrorLog: quiet},
		Plain: func(target string, _ int64) bool { return strings.HasPrefix(target, isPrefix) },
	}}
	for _, c := range change {
		c(s.Server)
	}
	if secure != nil {
		ln = tlsListener{ln, secure}
	}
	go func() { s.done <- s.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s
}

// tlsListener hands out connections as the shim's listeners do: below a type that
// net/http does not know.
type tlsListener struct {
	net.Listener
	config *tls.Config
}

func (l tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	return secureConn{tls.Server(tcp, l.config), tcp}, nil
}

type secureConn struct {
	*tls.Conn
	tcp *net.TCPConn
}

// SyscallConn implements syscall.Conn.
func (c secureConn) SyscallConn() (syscall.RawConn, error) { return c.tcp.SyscallConn() }

func (c secureConn) ConnectionState() tls.ConnectionState {
	_ = c.Handshake() // the next read tells
	return c.Conn.ConnectionState()
}

func certified(t testing.TB) *tls.Config {
	t.Helper()
	certificate, err := tls.X509KeyPair(testca.New(t).Leaf(t, "example.com"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}
}

func (s *serving) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func write(t testing.TB, c net.Conn, message string) {
	t.Helper()
	if _, err := io.WriteString(c, message); err != nil {
		t.Fatal(err)
	}
}

// answerOf reads one answer.
func answerOf(t testing.TB, rd *bufio.Reader) (status int, body string) {
	t.Helper()
	res, err := http.ReadResponse(rd, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
