package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"powerjob-shim/proxy/listen"
)

// Each listener has timeouts of its own: the short ones of the first two end
// what on the third, with the defaults, goes on.
func TestEachListenerHasTimeoutsOfItsOwn(t *testing.T) {
	const short = 100 * time.Millisecond
	secure := &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, okBody)
	})
	srv, err := mustProxy(t, settingsFor(t, url)).Listen(Listeners{Clients: []listen.Listener{
		{Address: "127.0.0.1:0", HeaderTimeout: short, BodyTimeout: short, IdleTimeout: short},
		{Address: "127.0.0.1:0", HeaderTimeout: short, TLS: secure},
		{Address: "127.0.0.1:0"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	now, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(now, now) }()
	t.Cleanup(func() { end(); <-done })
	limited, handshake, patient := srv.Addrs()[0].String(), srv.Addrs()[1].String(), srv.Addrs()[2].String()

	const whole = "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
	for _, c := range []struct {
		name, sent string
		answers    int
		status     int // of the last answer
	}{
		{"a header that does not end", whole[:30], 0, 0}, // nothing: OkHttp repeats a request on 408
		{"a body that does not end", whole[:len(whole)-1], 1, 400},
		{"nothing after an answer", whole, 1, 200},
	} {
		got, last := answersUntilClosed(t, limited, c.sent)
		if got != c.answers || last != c.status {
			t.Errorf("%s: %d answers, the last with status %d, want %d and %d", c.name, got, last, c.answers, c.status)
		}
		conn := dial(t, patient)
		_, _ = io.WriteString(conn, c.sent)
		time.Sleep(5 * short)
		_, _ = io.WriteString(conn, whole[len(c.sent):]+whole)
		r := bufio.NewReader(conn)
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for range 2 {
			if answer, err := readRaw(r); err != nil || statusOf(answer) != 200 {
				t.Errorf("%s, by default: the client got %q, %v", c.name, answer, err)
			}
		}
	}
	if n, _ := answersUntilClosed(t, handshake, "\x16\x03\x01"); n != 0 {
		t.Errorf("a handshake that does not end got %d answers", n)
	}
}

// answersUntilClosed sends bytes, waits for the server to close the connection,
// and returns how many answers came and the last one's status.
func answersUntilClosed(t *testing.T, addr, sent string) (n, status int) {
	t.Helper()
	conn := dial(t, addr)
	_, _ = io.WriteString(conn, sent)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(conn)
	for {
		answer, err := readRaw(r)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s is not closed after %q", addr, sent)
		}
		if answer == "" {
			return n, status
		}
		n, status = n+1, statusOf(answer)
		if err != nil {
			return n, status
		}
	}
}
