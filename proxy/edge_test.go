package proxy

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/proxy/listen"
)

func TestBeyondMaxConnectionsCallersGet503(t *testing.T) {
	s := newShimAt(t, settingsFor(t, newRawServer(t, answerWith()).url), nil, nil, listen.Listener{MaxConnections: 1})
	const ask = "GET /openApi/x HTTP/1.1\r\nHost: a\r\n\r\n"
	first := dial(t, s.addr)
	_, _ = io.WriteString(first, ask)
	_ = first.SetReadDeadline(time.Now().Add(patience))
	if got, _ := readRaw(bufio.NewReader(first)); statusOf(got) != 200 {
		t.Errorf("within the bound the client got %q", got)
	}
	if got := raw(t, s.addr, ask); statusOf(got) != 503 || len(lines(got, "connection")) != 1 || lines(got, "retry-after") != nil || lines(got, authLine) != nil {
		t.Errorf("beyond the bound the client got %q", got)
	}
	_ = first.Close()
	eventually(t, "the place is free", func() bool { return statusOf(raw(t, s.addr, request("GET", "/openApi/x", ""))) == 200 })
}

func TestABodyLargerThanMaxBodyIs413(t *testing.T) {
	const bound = 1000
	var whole atomic.Int64
	settings := settingsFor(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			whole.Add(1)
		}
		_, _ = io.WriteString(w, okBody)
	}))
	settings.MaxBody = bound
	settings.Rules = compileRules(t, authRule, saveRule)
	s := newShim(t, settings)
	chunked := func(n int) string {
		return strconv.FormatInt(int64(n), 16) + "\r\n" + strings.Repeat("x", n) + "\r\n0\r\n\r\n"
	}
	for _, path := range []string{"/container/uploadJar", "/openApi/saveJob"} {
		for _, c := range []struct {
			name, request string
			want          int
		}{
			{"as much", request("POST", path, strings.Repeat("x", bound)), 200},
			{"more", request("POST", path, strings.Repeat("x", bound+1)), 413},
			{"as much in chunks", "POST " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(bound), 200},
			{"more in chunks", "POST " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(bound+1), 413},
		} {
			before := whole.Load()
			got := raw(t, s.addr, c.request)
			if statusOf(got) != c.want || c.want == 413 && (!strings.Contains(got, "max_body") || lines(got, authLine) != nil) {
				t.Errorf("%s to %s: the client got %q, want %d", c.name, path, got, c.want)
			}
			if n := whole.Load() - before; c.want == 413 && n != 0 {
				t.Errorf("%s to %s: the server took it for whole", c.name, path)
			}
		}
		call := "other"
		if strings.HasPrefix(path, "/openApi/") {
			call = "saveJob"
		}
		if n := s.sum(t, "powerjob_shim_requests_total", "call", call, "code", "413"); n != 2 {
			t.Errorf("%s: %v refusals are counted under %s, want 2", path, n, call)
		}
		// Who asks before sending is told before sending.
		c := dial(t, s.addr)
		_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
		if got, _ := readRaw(bufio.NewReader(c)); statusOf(got) != 413 {
			t.Errorf("asking first, the client got %q", got)
		}
		_ = c.Close()
	}
}

// The real client is never told 408: OkHttp would send again.
func TestABodyThatStandsStillIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMemoryNet()
		mem.serve(t, serverAddr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, okBody)
		}), context.Background())
		p := mustProxy(t, settingsFor(t, "http://"+serverAddr))
		dialBy(p.snap.Load().Groups["default"], mem.dialer(shimHost))
		mem.serve(t, shimAddr, p, p.life)
		for _, c := range []struct {
			pause time.Duration
			want  int
		}{{bodyTimeoutByDefault - time.Second, 200}, {bodyTimeoutByDefault + time.Second, 400}} {
			conn, err := mem.dialer("10.0.0.9")(context.Background(), "tcp", shimAddr)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
				for range 4 {
					time.Sleep(c.pause)
					_, _ = io.WriteString(conn, "x")
				}
			}()
			answer, _ := readRaw(bufio.NewReader(conn))
			if statusOf(answer) != c.want {
				t.Errorf("with pauses of %v the client got %q, want %d", c.pause, answer, c.want)
			}
			_ = conn.Close()
			time.Sleep(time.Hour)
		}
		p.retire()
		synctest.Wait()
	})
}

// Whoever is refused could else keep the connection, and a goroutine, for good.
func TestABodyThatNobodyReadsIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := newMemoryNet()
		settings := settingsFor(t, "http://"+serverAddr)
		settings.Routes = []Route{{Name: "main", Hosts: []string{"known"}, Upstream: "default"}}
		p := mustProxy(t, settings)
		mem.serve(t, shimAddr, p, p.life)
		conn, err := mem.dialer("10.0.0.9")(context.Background(), "tcp", shimAddr)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		go func() {
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: unknown\r\nContent-Length: 1000\r\n\r\nx")
		}()
		r := bufio.NewReader(conn)
		if answer, _ := readRaw(r); statusOf(answer) != 404 { // net/http waits for the body first
			t.Errorf("after %v the client got %q", time.Since(began), answer)
		}
		if _, err := r.ReadByte(); err != io.EOF || time.Since(began) > 2*bodyTimeoutByDefault {
			t.Errorf("after %v the connection ended with %v", time.Since(began), err)
		}
		_ = conn.Close()
	})
}

func TestTheClientsOwnAuthHeaderNeitherArrivesNorComesBack(t *testing.T) {
	for _, name := range []string{"X-POWERJOB-AUTH-PASSED", "x-powerjob-auth-passed", "X-Powerjob-Auth-Passed", "x-PowerJob-AUTH-passed"} {
		for _, path := range []string{"/openApi/saveJob", "/openApi/unknown", "/index.html"} {
			for _, req := range []string{
				request("POST", path, "{}", name+": mine"),
				request("POST", path, "{}", name+": mine", name+": mine"),
				request("POST", path, "{}", name+": mine", "Connection: "+name),
				"POST " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: " + name + "\r\n\r\n2\r\n{}\r\n0\r\n" + name + ": mine\r\n\r\n",
			} {
				up := newRawServer(t, answerWith())
				s := newShim(t, settingsFor(t, up.url))
				got := raw(t, s.addr, req)
				if statusOf(got) != 200 || strings.Contains(got, "mine") {
					t.Errorf("%q: the client got %q", req, got)
				}
				for _, r := range up.requests() {
					if strings.Contains(strings.ToLower(r), "auth-passed") || strings.Contains(r, "mine") {
						t.Errorf("%q: the server got %q", req, r)
					}
				}
			}
		}
	}
}

func TestWhileStoppingConnectionsEndAfterTheirAnswer(t *testing.T) {
	settings := settingsFor(t, newRawServer(t, answerWith()).url)
	settings.Shutdown.Delay = time.Hour
	s := newShim(t, settings)
	c := dial(t, s.addr)
	r := bufio.NewReader(c)
	ask := func() string {
		_, _ = io.WriteString(c, "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
		answer, _ := readRaw(r)
		return answer
	}
	if got := ask(); statusOf(got) != 200 || lines(got, "connection") != nil {
		t.Errorf("before: the client got %q", got)
	}
	s.stop()
	eventually(t, "draining", s.draining.Load)
	if got := ask(); statusOf(got) != 200 || len(lines(got, "connection")) != 1 {
		t.Errorf("while stopping: the client got %q", got)
	}
}

func TestAnAmbiguousPathIsRefusedWhereRoutesDependOnPaths(t *testing.T) {
	a, b := newRawServer(t, answerWith()), newRawServer(t, answerWith())
	settings := settingsFor(t, a.url)
	settings.Upstreams["other"] = settingsFor(t, b.url).Upstreams["default"]
	settings.Routes = []Route{{Name: "public", Paths: []string{"/public/*"}, Upstream: "other"}, {Name: "rest", Paths: []string{"/*"}, Upstream: "default"}}
	s := newShim(t, settings)
	for path, want := range map[string]int{
		"/public/x": 200, "/x": 200, "/%70ublic/x": 200, "/public;a=b/x": 200,
		"/public/../private": 400, "/public/%2e%2e/private": 400, "/x/../public/y": 400, "//public/x": 400, "/public%2Fx": 400, "/public\\..\\x": 400,
	} {
		if got := raw(t, s.addr, request("GET", path, "")); statusOf(got) != want {
			t.Errorf("%s: the client got %q, want %d", path, got, want)
		}
	}
	if n, m := len(b.requests()), len(a.requests()); n != 3 || m != 1 {
		t.Errorf("the servers got %d and %d, want 3 and 1", n, m)
	}
}

// Servers come, go and move between routes while callers never pause.
func TestNoRequestFailsWhileRoutesAndUpstreamsChange(t *testing.T) {
	const callers, swaps = 6, 60
	answer := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, okBody)
	}
	s := newShim(t, settingsFor(t, upstream(t, answer)))
	var over atomic.Bool
	var served atomic.Int64
	wait := onConnections(t, s.addr, callers, func(_ int, ask asking) {
		for !over.Load() {
			answer, err := ask("POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
			if err != nil || statusOf(answer) != 200 {
				t.Errorf("a caller got %q, %v", answer, err)
				return
			}
			served.Add(1)
		}
	})
	for i := range swaps {
		next := httptest.NewServer(http.HandlerFunc(answer))
		settings := settingsFor(t, next.URL)
		if i%2 == 1 {
			settings.Upstreams["other"] = settings.Upstreams["default"]
			settings.Routes = []Route{{Name: "moved", Hosts: []string{"a"}, Upstream: "other"}, {Name: "rest", Upstream: "default"}}
		}
		before := s.snap.Load()
		if err := s.Swap(settings); err != nil {
			t.Fatal(err)
		}
		n := served.Load()
		eventually(t, "callers go on", func() bool { return served.Load() > n+callers })
		for _, g := range before.Groups {
			for _, srv := range g.Upstream.Servers {
				eventually(t, "the old servers are left", func() bool { return srv.InFlight() == 0 })
			}
		}
		t.Cleanup(next.Close)
	}
	over.Store(true)
	wait()
}
