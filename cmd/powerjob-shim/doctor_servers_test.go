package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"powerjob-shim/internal/demo"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/openapi"
)

// standIn runs a stand-in server and checks at the end that the doctor has executed
// nothing and logged in no app.
func standIn(t *testing.T, o legacy.Options) string {
	t.Helper()
	s := legacy.New(o)
	address, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if e := s.Executions(); len(e) != 0 {
			t.Errorf("the doctor changed something: %+v", e)
		}
		for _, r := range s.Requests() {
			c, ok := openapi.Lookup(r.Call)
			if !ok || c.Kind == openapi.Change && r.Method != http.MethodGet || r.Token != "" {
				t.Errorf("the doctor sent %s %s", r.Method, r.URI)
			}
		}
	})
	return address
}

// goProxy is a plain proxy written in Go, as Caddy and Traefik are.
func goProxy(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }})
	t.Cleanup(p.Close)
	return p.URL
}

func shimIn(t *testing.T, start demo.StartShim, server string) string {
	t.Helper()
	address, stop, err := start(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return "http://" + address
}

// hop passes every request on to next, and rewrites the answer's header, on raw
// sockets.
func hop(t *testing.T, next http.Handler, rewrite func(line string) []string) string {
	t.Helper()
	return raw(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		fmt.Fprintf(conn, "HTTP/1.1 %d x\r\n", answer.Code)
		for name, values := range answer.Header() {
			for _, v := range values {
				for _, line := range rewrite(name + ": " + v) {
					fmt.Fprintf(conn, "%s\r\n", line)
				}
			}
		}
		fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n%s", answer.Body.Len(), answer.Body)
	})
}

// raw calls a function with each connection and then closes it.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func lowercase(line string) []string {
	name, value, _ := strings.Cut(line, ":")
	return []string{strings.ToLower(name) + ":" + value}
}

func removeAuth(line string) []string {
	if strings.HasPrefix(line, openapi.AuthHeader) {
		return nil
	}
	return []string{line}
}

// removing is a hop in front of another server that removes the header.
func removing(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	return hop(t, httputil.NewSingleHostReverseProxy(u), func(line string) []string {
		if name, _, _ := strings.Cut(line, ":"); strings.EqualFold(name, openapi.AuthHeader) {
			return nil
		}
		return []string{line}
	})
}

// legacyClients lets 4.x clients pass the gate.
const legacyClients = "POWERJOB_SHIM_AUTH__LEGACY_CLIENTS__ALLOW=127.0.0.0/8"

// gated is a shim with its gate in front of a stand-in server.
func gated(t *testing.T, mode legacy.Mode, environ ...string) string {
	t.Helper()
	return shimIn(t, func(server string) (string, func(), error) {
		return startInProcessWith(server, append(environ, "POWERJOB_SHIM_AUTH__MODE=enforce")...)
	}, standIn(t, legacy.Options{Mode: mode}))
}

// observing is a shim in mode: observe in front of a stand-in server.
func observing(t *testing.T, mode legacy.Mode) string {
	t.Helper()
	return shimIn(t, func(server string) (string, func(), error) {
		return startInProcessWith(server, "POWERJOB_SHIM_MODE=observe")
	}, standIn(t, legacy.Options{Mode: mode}))
}

// virtualHost is a web server that passes requests for the host name on to next, and
// answers all others as nginx' default virtual host does.
func virtualHost(t *testing.T, name, next string) string {
	t.Helper()
	u, err := url.Parse(next)
	if err != nil {
		t.Fatal(err)
	}
	p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) }}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == name {
			p.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center><hr><center>nginx</center></body></html>")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// nginxAddHeader does what add_header X-POWERJOB-AUTH-PASSED true does.
func nginxAddHeader(line string) []string {
	if strings.HasPrefix(line, "Content-Type") {
		return []string{line, openapi.AuthHeader + ": true"}
	}
	return []string{line}
}

func answering(t *testing.T, head string) string {
	t.Helper()
	return raw(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 "+head+"\r\nContent-Length: 0\r\n\r\n")
		}
	})
}

// closedPort returns an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
