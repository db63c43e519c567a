package listen

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/await"
)

// openTLS serves https, and counts the requests that its handler gets.
func openTLS(t testing.TB) (s *serving, served *atomic.Int64) {
	t.Helper()
	served = new(atomic.Int64)
	return open(t, &house{}, func(http.ResponseWriter, *http.Request) { served.Add(1) }, Listener{TLS: secure(t)}), served
}

func TestALPNIsHTTP1OrNothing(t *testing.T) {
	s, _ := openTLS(t)
	for _, c := range []struct {
		offered []string
		want    string // "": no protocol is agreed
		refused bool
	}{
		{nil, "", false},
		{[]string{"http/1.1"}, "http/1.1", false},
		{[]string{"h2", "http/1.1"}, "http/1.1", false},
		{[]string{"h2"}, "", true},
		{[]string{"h3"}, "", true},
		{[]string{"acme-tls/1"}, "acme-tls/1", false},
	} {
		conn, err := dialTLS(t, s.addr, c.offered...)
		if refused := err != nil; refused != c.refused {
			t.Errorf("%q: %v", c.offered, err)
			continue
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != c.want {
			t.Errorf("%q: agreed on %q, want %q", c.offered, got, c.want)
		}
	}
	await.That(t, "the refusals are logged", func() bool { return s.logs.FilterMessage("TLS handshake failed").Len() == 2 })
}

func TestNoRequestsAreServedToACertificateAuthority(t *testing.T) {
	s, served := openTLS(t)
	c, err := dialTLS(t, s.addr, acmeTLS)
	if err != nil {
		t.Fatal(err)
	}
	if answer := exchange(c, call); answer != "" || served.Load() > 0 {
		t.Errorf("the client got %q, %d requests were served", answer, served.Load())
	}
}

func TestFramingIsAsStrictOverTLS(t *testing.T) {
	s, served := openTLS(t)
	for _, req := range []string{
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
	} {
		c, err := dialTLS(t, s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if answer := exchange(c, req); statusOf(answer) != 400 {
			t.Errorf("%q is answered with %q", req, answer)
		}
	}
	if n := served.Load(); n > 0 {
		t.Errorf("%d requests were served", n)
	}
}

func TestPlainHTTPToAnHTTPSListenerIsToldSo(t *testing.T) {
	s, _ := openTLS(t)
	if answer := raw(t, s.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); statusOf(answer) != 400 || !strings.Contains(answer, "speaks https") {
		t.Errorf("the client got %q", answer)
	}
}

func TestAHandshakeThatIsNotFinishedIsClosed(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	c := strictTLSConn{Conn: tls.Server(server, secure(t)), patience: 10 * time.Millisecond, log: zap.NewNop()}
	if state := c.ConnectionState(); state.HandshakeComplete {
		t.Error("the handshake is complete")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

func TestAnUnknownTransferCodingIsABadRequest(t *testing.T) {
	s := open(t, &house{}, func(http.ResponseWriter, *http.Request) { t.Error("it was served") }, Listener{})
	answer := raw(t, s.addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")
	if statusOf(answer) != 400 || !strings.Contains(answer, "Unsupported transfer encoding") {
		t.Errorf("the client got %q", answer)
	}
}

// What net/http would answer is passed on where a handler writes it: it has a Date.
func TestAHandlersOwn501IsLeftAlone(t *testing.T) {
	s := open(t, &house{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = io.WriteString(w, "Unsupported transfer encoding")
	}, Listener{})
	if answer := raw(t, s.addr, call); statusOf(answer) != 501 {
		t.Errorf("the client got %q", answer)
	}
}
