package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"powerjob-shim/internal/logging"
	"powerjob-shim/metrics"
	"powerjob-shim/rules/openapi"

	"github.com/prometheus/client_golang/prometheus"
)

// benchBody is a saveJob of the usual size.
var benchBody = `{"jobName":"` + strings.Repeat("x", 1<<10-30) + `","appId":1,"id":1}`

// discard is a ResponseWriter that keeps nothing, so that what is measured is
// the shim and its connection to the server, not the caller's.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) Flush()                      {}

// benchProxy is a Proxy in front of a server that answers at once, as a
// PowerJob server does: JSON, chunked.
func benchProxy(b *testing.B, change func(*Settings)) *Proxy {
	up := upstream(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, okBody)
	})
	settings := settingsFor(b, up)
	settings.AccessLog = false
	if change != nil {
		change(&settings)
	}
	l := logging.Open(logging.Options{Out: io.Discard, Format: logging.FormatJSON})
	b.Cleanup(l.Close)
	p, err := New(Options{Logger: l.Logger, Metrics: metrics.New(prometheus.NewRegistry(), openapi.Names())}, settings)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.retire)
	return p
}

// benchServe serves the same call again and again, each with the body that
// body returns.
func benchServe(b *testing.B, p *Proxy, path string, body func() string) {
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: " +
			strconv.Itoa(len(benchBody)) + "\r\n\r\n" + body())))
		if err != nil {
			b.Fatal(err)
		}
		r.RemoteAddr = "127.0.0.1:1"
		p.ServeHTTP(&discard{http.Header{}}, r)
	}
}

func BenchmarkPassThrough(b *testing.B) {
	p := benchProxy(b, func(s *Settings) { s.Rules = nil })
	benchServe(b, p, "/job/save", func() string { return benchBody })
}

func BenchmarkHeaderOnly(b *testing.B) {
	p := benchProxy(b, nil)
	benchServe(b, p, "/openApi/saveJob", func() string { return benchBody })
}

// BenchmarkHeaderOnlyWithAccessLog shows what a line of the log costs a call.
func BenchmarkHeaderOnlyWithAccessLog(b *testing.B) {
	p := benchProxy(b, func(s *Settings) { s.AccessLog = true })
	benchServe(b, p, "/openApi/saveJob", func() string { return benchBody })
}

// BenchmarkOverSockets is a whole exchange with the client's side.
func BenchmarkOverSockets(b *testing.B) {
	p := benchProxy(b, nil)
	front := newUnstartedUpstream(b, p.ServeHTTP)
	front.Start()
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	msg := "POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(benchBody)) + "\r\n\r\n" + benchBody
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(c, msg); err != nil {
			b.Fatal(err)
		}
		if answer, err := readRaw(r); err != nil || statusOf(answer) != 200 {
			b.Fatalf("got %q, %v", answer, err)
		}
	}
}
