//go:build unix

package proxy

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/upstream/connect"
)

// blocked is a shim whose connections to the server wait until they are released,
// in front of a server that counts.
func blocked(t *testing.T) (s *shim, server *legacy.Server, url string, released chan struct{}) {
	t.Helper()
	server, url = startLegacy(t, legacy.Options{})
	s = newShim(t, dedupSettings(t, url))
	return s, server, url, blockDials(s)
}

// leave sends a message, waits until it is in flight, and closes the connection.
func leave(t *testing.T, s *shim, c net.Conn, message string) {
	t.Helper()
	before := s.active.Load()
	if _, err := io.WriteString(c, message); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is in flight", func() bool { return s.active.Load() > before })
	_ = c.Close()
}

func TestNothingIsSentForACallerWhoHasGone(t *testing.T) {
	for _, message := range []string{
		save(saveBody(0, "a")), form("runJob", "jobId=1&appId=1"), form("fetchAllJob", "appId=1"),
	} {
		s, server, _, released := blocked(t)
		c := dial(t, s.addr)
		leave(t, s, c, message)
		close(released)
		if line := s.logLine(t, 0); line[exchange.FieldUnanswered] != "caller_gone" || line[exchange.FieldStatus] != int64(hungUpStatus) {
			t.Errorf("%q: logged as %v", message, line)
		}
		if n := s.sum(t, "powerjob_shim_unanswered_total", "reason", "caller_gone"); n != 1 {
			t.Errorf("%q: %v counted", message, n)
		}
		if n := server.Received(""); n != 0 {
			t.Errorf("%q: the server got %d requests", message, n)
		}
	}
}

// The client gives up after 2 s and goes on to its next address, where its call
// is carried out. The connection that the first shim waited for comes then.
func TestACallIsNotExecutedTwiceWhereAConnectionComesLate(t *testing.T) {
	first, server, url, released := blocked(t)
	second := newShim(t, dedupSettings(t, url))
	raw(t, second.addr, save(saveBody(0, "a")))
	message := form("runJob", "jobId=1&appId=1")
	leave(t, first, dial(t, first.addr), message)
	if got := raw(t, second.addr, message); statusOf(got) != 200 {
		t.Fatalf("the second shim answered %q", got)
	}
	close(released)
	first.logLine(t, 0)
	wantExecuted(t, server, "runJob", 1)
}

func TestTheCallOfACallerWhoHasGoneIsSentForHisRetry(t *testing.T) {
	s, server, url, released := blocked(t)
	raw(t, newShim(t, dedupSettings(t, url)).addr, save(saveBody(0, "a")))
	message := form("runJob", "jobId=1&appId=1")
	leave(t, s, dial(t, s.addr), message)
	retry := async(t, s.addr, message)
	s.inFlight(t, 2)
	close(released)
	if got := <-retry; statusOf(got) != 200 || decision(got) != "coalesced" {
		t.Errorf("the retry got %q", got)
	}
	wantExecuted(t, server, "runJob", 1)
}

// A listener with TLS, and a server with TLS whose handshake is late.
func TestACallerIsSeenToGoOverTLS(t *testing.T) {
	shaking, release, got := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	certificate := testCertificate(t)
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		shaking <- struct{}{}
		<-release
		b, _ := io.ReadAll(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}))
		got <- string(b)
	})
	settings := dedupSettings(t, "https://"+addr)
	u := settings.Upstreams["default"]
	u.TLS = connect.TLSFiles{CAFile: filepath.Join(t.TempDir(), "ca.pem"), ServerName: "example.com"}
	settings.Upstreams["default"] = u
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	if err := os.WriteFile(u.TLS.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newShim(t, settings)
	https, _ := listenTLS(t, s.Proxy, nil, nil)
	c, err := dialTLS(t, https)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, save(saveBody(0, "a")))
	<-shaking
	_ = c.Close()
	close(release)
	if line := s.logLine(t, 0); line[exchange.FieldUnanswered] != "caller_gone" {
		t.Errorf("logged as %v", line)
	}
	if sent := <-got; sent != "" {
		t.Errorf("the server got %q", sent)
	}
}
