package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/internal/testca"
	"powerjob-shim/proxy/upstream/connect"
)

// A server that has read the header answers, and closes.
func TestAnEarlyAnswerToAnUploadIsPassedOn(t *testing.T) {
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		defer c.Close()
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.CopyN(io.Discard, c, 100<<10) // then it is closed with bytes unread: a reset
	})
	s := newShim(t, settingsFor(t, "http://"+addr))
	const size = 20 << 20
	for i := range 20 {
		c := dial(t, s.addr)
		_ = c.SetDeadline(time.Now().Add(patience))
		go func() {
			_, _ = fmt.Fprintf(c, "POST /container/jarUpload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
			_, _ = io.CopyN(c, nothings{}, size) // may break off: the answer is there
		}()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 413 {
			t.Fatalf("upload %d: got %v, %v", i, res, err)
		}
		_ = c.Close()
	}
}

type nothings struct{}

func (nothings) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The caller sends nothing more: that is not why the exchange ended.
func TestAServerThatDiesInAStalledUploadIs502(t *testing.T) {
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.ReadFull(r, make([]byte, 8<<10))
		}
		_ = c.Close()
	})
	s := newShim(t, settingsFor(t, "http://"+addr))
	c := dial(t, s.addr)
	_ = c.SetDeadline(time.Now().Add(patience))
	began := time.Now()
	_, _ = io.WriteString(c, "POST /container/jarUpload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("x", 9<<10))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 502 {
		t.Fatalf("got %v, %v", res, err)
	}
	if took := time.Since(began); took > bodyTimeoutByDefault/2 {
		t.Errorf("after %s", took)
	}
}

func TestBytesRightBehindAnUpgradeReachTheServer(t *testing.T) {
	addr := tcpfaults.Serve(t, func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		got := make([]byte, len("first frame"))
		if _, err := io.ReadFull(r, got); err == nil {
			_, _ = fmt.Fprintf(c, "got %s", got)
		}
	})
	s := newShim(t, settingsFor(t, "http://"+addr))
	c := dial(t, s.addr)
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET /container/deploy/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst frame")
	all, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(all), "HTTP/1.1 101 ") || !strings.HasSuffix(string(all), "got first frame") {
		t.Errorf("the client got %q", all)
	}
}

func TestOnlyWebSocketsBecomeTunnels(t *testing.T) {
	for _, c := range []struct {
		upgrade string
		tunnel  bool
	}{{"websocket", true}, {"WebSocket", true}, {"h2c", false}, {"foo/1", false}, {"foo/1, websocket", false}} {
		seen := make(chan string, 1)
		addr := tcpfaults.Serve(t, func(conn net.Conn) {
			defer conn.Close()
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			seen <- r.Header.Get("Upgrade")
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\ntunnel", c.upgrade)
		})
		s := newShim(t, settingsFor(t, "http://"+addr))
		conn := dial(t, s.addr)
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = fmt.Fprintf(conn, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", c.upgrade)
		r := bufio.NewReader(conn)
		res, err := http.ReadResponse(r, nil)
		if err != nil || (res.StatusCode == 101) != c.tunnel || !c.tunnel && res.StatusCode != 502 {
			t.Errorf("%s: the client got %v, %v", c.upgrade, res, err)
		}
		if got := <-seen; (got != "") != c.tunnel {
			t.Errorf("%s: the server saw Upgrade: %q", c.upgrade, got)
		}
	}
}

func TestWhatIsNoCallHasItsOwnTimeout(t *testing.T) {
	release := make(chan struct{})
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = io.WriteString(w, okBody)
	})
	settings := settingsFor(t, server)
	u := settings.Upstreams["default"]
	u.Timeout, u.StreamTimeout = 50*time.Millisecond, patience
	settings.Upstreams["default"] = u
	s := newShim(t, answering(settings))
	page := make(chan string, 1)
	go func() { page <- raw(t, s.addr, request("GET", "/instance/downloadLog", "")) }()
	// The call is given up after 50 ms; by then the page has waited as long.
	if got := raw(t, s.addr, request("POST", "/openApi/fetchAllJob", "")); statusOf(got) != 504 {
		t.Errorf("the call got %q", got)
	}
	close(release)
	if got := <-page; statusOf(got) != 200 {
		t.Errorf("the page got %q", got)
	}
}

// A server that answers each request twice: nobody gets a second answer, and its
// connections are not used again.
func TestAServerThatAnswersTwiceIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca := testca.New(t)
	ca.WriteLeaf(t, in("crt"), in("key"), "powerjob.test")
	write(t, in("ca"), ca.PEM)
	pair, err := tls.LoadX509KeyPair(in("crt"), in("key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		for _, targets := range [][]string{{"/openApi/runJob"}, {"/page"}, {"/openApi/runJob", "/page"}} {
			t.Run(fmt.Sprintf("TLS %v, %v", secure, targets), func(t *testing.T) {
				var conns, requests atomic.Int64
				addr := tcpfaults.Serve(t, func(c net.Conn) {
					if secure {
						c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
					}
					defer c.Close()
					conns.Add(1)
					answerTwice(c, &requests)
				})
				settings := settingsFor(t, "http://"+addr)
				if secure {
					settings = settingsFor(t, "https://"+addr)
					u := settings.Upstreams["default"]
					u.TLS = connect.TLSFiles{CAFile: in("ca"), ServerName: "powerjob.test"}
					settings.Upstreams["default"] = u
				}
				settings.Rules = compileRules(t, authRule, changesRule)
				s := newShim(t, settings)
				const rounds = 50
				calls := int64(rounds * len(targets))
				for i := range rounds {
					for _, target := range targets {
						n := fmt.Sprintf("%s-%d", target[1:5], i)
						if _, body := parse(t, raw(t, s.addr, request("POST", target+"?n="+n, "jobId="+n))); body != n {
							t.Errorf("%s %s got %q", target, n, body)
						}
					}
				}
				if n := s.logs.FilterMessageSnippet("bytes that nobody asked for").Len(); n != 1 {
					t.Errorf("%d WARNs, want 1", n)
				}
				if c, r := conns.Load(), requests.Load(); r != calls || c < r {
					t.Errorf("%d requests over %d connections", r, c)
				}
			})
		}
	}
}

// answerTwice answers each request twice, at once: what comes later may be taken
// for the next request's (docs/promise.md).
func answerTwice(c net.Conn, requests *atomic.Int64) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		requests.Add(1)
		body := req.URL.Query().Get("n")
		one := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		_, _ = io.WriteString(c, one+one)
	}
}
