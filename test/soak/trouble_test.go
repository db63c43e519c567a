package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
)

// trouble makes faults of networks, servers and strangers during the whole test. Each
// has a route and servers of its own, so that the calls are not affected.
type trouble struct {
	shim    *shim
	servers map[string]string // URLs, by the host of their route

	mu    sync.Mutex        // guards what follows, by the name of a kind
	tried map[string]int    // how often
	lost  map[string]int    // how often the outcome was not the expected one
	why   map[string]string // the last such outcome
}

// kinds are the faults, with their numbers in docs/reliability.md.
var kinds = []struct {
	name string
	do   func(*trouble, int) error
}{
	{"1 a server that refuses connections", func(b *trouble, _ int) error { return b.get("gone.test", "/page", 502) }},
	{"2 https:// to a plain port", func(b *trouble, _ int) error { return b.get("mismatch.test", "/page", 502) }},
	{"3 a route that leads back to the shim", func(b *trouble, _ int) error { return b.get("loop.test", "/page", 508) }},
	{"5 an upload that is answered early", (*trouble).earlyAnswer},
	{"5 an upgrade to h2c", func(b *trouble, _ int) error { return b.upgrade("h2c", false) }},
	{"5 an upgrade to a WebSocket", func(b *trouble, _ int) error { return b.upgrade("websocket", true) }},
	{"6 a reader that reads nothing", (*trouble).stalledReader},
	{"6 an upload that crawls", (*trouble).crawlingUpload},
	{"7 20 logins of an unknown app", (*trouble).logins},
	{"8 a server that answers twice", (*trouble).twice},
}

func newTrouble(t *testing.T) *trouble {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, pageSize)) })
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/openApi/authApp", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"success":false,"data":null,"message":"INVALID_APP:flood"}`)
	})
	pages := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	t.Cleanup(func() { _ = pages.Close() })
	b := &trouble{tried: map[string]int{}, lost: map[string]int{}, why: map[string]string{}}
	b.servers = map[string]string{
		"loop.test":     "http://" + serve(t, b.leadBack),
		"gone.test":     "http://" + free(t),
		"mismatch.test": "https://" + serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		"pages.test":    "http://" + serveHTTP(t, pages),
		"early.test":    "http://" + serve(t, answerEarly),
		"upgrade.test":  "http://" + serve(t, upgradeToAnything),
		"twice.test":    "http://" + serve(t, answerTwice),
	}
	return b
}

// leadBack is a hop that leads back to the shim, which cannot know that beforehand.
func (b *trouble) leadBack(from net.Conn) {
	to, err := net.Dial("tcp", b.shim.http)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(from, to)
}

// start makes each trouble, twice a second, until end.
func (b *trouble) start(wg *sync.WaitGroup, end time.Time) {
	for _, k := range kinds {
		wg.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				began := time.Now()
				err := k.do(b, n)
				b.mu.Lock()
				if b.tried[k.name]++; err != nil {
					b.lost[k.name]++
					b.why[k.name] = err.Error()
				}
				b.mu.Unlock()
				time.Sleep(time.Until(began.Add(500 * time.Millisecond)))
			}
		})
	}
}

func (b *trouble) String() string {
	var s strings.Builder
	for _, name := range slices.Sorted(maps.Keys(b.tried)) {
		fmt.Fprintf(&s, "    %4d x %s: %d went otherwise than they should\n", b.tried[name], name, b.lost[name])
		if why := b.why[name]; why != "" {
			fmt.Fprintf(&s, "           %s\n", why)
		}
	}
	return s.String()
}

// pageSize is more than the network can buffer of an answer that nobody reads.
const pageSize = 30 << 20

// waits is how long an answer may take on a busy machine.
const waits = 20 * time.Second

// ask writes a request and returns the answer, the connection, and the reader with the
// bytes behind the answer's header.
func (b *trouble) ask(request string) (*http.Response, net.Conn, *bufio.Reader, error) {
	c, err := net.Dial("tcp", b.shim.http)
	if err != nil {
		return nil, nil, nil, err
	}
	_ = c.SetDeadline(time.Now().Add(waits))
	_, _ = io.WriteString(c, request) // fails if the other side answers and closes before the end
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		_ = c.Close()
		return nil, nil, nil, err
	}
	return res, c, r, nil
}

func (b *trouble) get(host, path string, want int) error {
	res, c, _, err := b.ask("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if res.StatusCode != want {
		return fmt.Errorf("%s: status %d, want %d", host, res.StatusCode, want)
	}
	return nil
}

func (b *trouble) earlyAnswer(int) error {
	const size = 4 << 20
	res, c, _, err := b.ask(fmt.Sprintf("POST /upload HTTP/1.1\r\nHost: early.test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

func answerEarly(c net.Conn) {
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.CopyN(io.Discard, c, 100<<10) // unread bytes are left, so that closing resets the connection
}

func (b *trouble) upgrade(to string, passes bool) error {
	res, c, r, err := b.ask("GET /ws HTTP/1.1\r\nHost: upgrade.test\r\nConnection: Upgrade\r\nUpgrade: " + to + "\r\n\r\nframe")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if (res.StatusCode == http.StatusSwitchingProtocols) != passes {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	if !passes {
		return nil
	}
	echo := make([]byte, len("frame"))
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "frame" {
		return fmt.Errorf("the tunnel brought %q, %w", echo, err)
	}
	return nil
}

func upgradeToAnything(c net.Conn) {
	r := bufio.NewReader(c)
	if _, err := http.ReadRequest(r); err != nil {
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_, _ = io.Copy(c, r)
}

// stalledReader asks for a large page and reads nothing. The shim must close the
// connection.
func (b *trouble) stalledReader(int) error {
	c, err := net.Dial("tcp", b.shim.http)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET /page HTTP/1.1\r\nHost: pages.test\r\n\r\n")
	// Long enough: what the network buffers at first counts as read. Then only that
	// is read, and the end.
	time.Sleep(10 * stall)
	_ = c.SetReadDeadline(time.Now().Add(waits))
	if n, err := io.Copy(io.Discard, c); n >= pageSize || err != nil && strings.Contains(err.Error(), "timeout") {
		return fmt.Errorf("not let go: %d bytes, %w", n, err)
	}
	return nil
}

// crawlingUpload sends a byte each second. The shim must not wait for ever.
func (b *trouble) crawlingUpload(int) error {
	c, err := net.Dial("tcp", b.shim.http)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "POST /upload HTTP/1.1\r\nHost: pages.test\r\nContent-Length: 100000\r\n\r\n")
	over, cancel := context.WithTimeout(context.Background(), 40*time.Second+waits)
	defer cancel()
	go func() {
		for over.Err() == nil {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	_ = c.SetReadDeadline(time.Now().Add(40*time.Second + waits))
	if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
		return fmt.Errorf("not let go: %w", err)
	}
	return nil
}

func (b *trouble) logins(int) error {
	const body = `{"appName":"flood","encryptedPassword":"x","encryptType":"md5"}`
	for range 20 {
		res, c, _, err := b.ask(fmt.Sprintf("POST /openApi/authApp HTTP/1.1\r\nHost: pages.test\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if err != nil {
			return err
		}
		_ = c.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", res.StatusCode)
		}
	}
	return nil
}

// twice asks for a different path each time, and must get that path.
func (b *trouble) twice(n int) error {
	want := fmt.Sprintf("/own-%d", n)
	res, c, _, err := b.ask("GET " + want + " HTTP/1.1\r\nHost: twice.test\r\nConnection: close\r\n\r\n")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil || string(got) != want {
		return fmt.Errorf("asked for %s, got %q, %w", want, got, err)
	}
	return nil
}

func answerTwice(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		one := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(req.URL.Path), req.URL.Path)
		_, _ = io.WriteString(c, one+one)
	}
}

// serve calls do with each connection, on a goroutine of its own, and returns the
// address.
func serve(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	return tcpfaults.Serve(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		do(c)
	})
}

func serveHTTP(t *testing.T, s *http.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	return ln.Addr().String()
}

// stallingLog reads the shim's log, but reads nothing for half of the time.
func stallingLog(from io.Reader, to io.Writer) {
	began := time.Now()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		_, _ = to.Write(buf[:n]) // only people who look for a fault read it
		if err != nil {
			return
		}
		if int(time.Since(began)/(5*time.Second))%2 == 1 {
			time.Sleep(5 * time.Second)
		}
	}
}
