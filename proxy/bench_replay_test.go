package proxy

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// SetReadDeadline makes discard what a connection's writer is for the dedup
// middleware.
func (d *discard) SetReadDeadline(time.Time) error { return nil }

// deduplicated adds a rule for saveJob and one for runJob, as the default
// configuration has them.
func deduplicated(s *Settings) { s.Rules, _ = rules.Compile(defaultRules) }

// saves returns saveJob bodies of 1 KiB, each for another job.
func saves() func() string {
	body := []byte(`{"jobName":"` + strings.Repeat("x", 980) + `","appId":1,"id":`)
	n := 1_000_000_000
	return func() string {
		n++
		return string(append(strconv.AppendInt(body, int64(n), 10), '}'))
	}
}

// benchToken has the size of a real one.
var benchToken = "eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("payload", 30) + ".signature"

// benchCalls serves calls of a client that is logged in, as benchServe does.
func benchCalls(b *testing.B, p *Proxy, call string, body func() string) {
	b.ReportAllocs()
	for b.Loop() {
		content := body()
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST /openApi/" + call + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" +
			openapi.AppIDHeader + ": 1\r\n" + openapi.TokenHeader + ": " + benchToken + "\r\nContent-Length: " + strconv.Itoa(len(content)) + "\r\n\r\n" + content)))
		if err != nil {
			b.Fatal(err)
		}
		r.RemoteAddr = "127.0.0.1:1"
		p.ServeHTTP(&discard{http.Header{}}, r)
	}
}

// BenchmarkCall compares what a call costs under no dedup rule with what it
// costs under one: a call seen for the first time (miss), a repeated one
// (replay), one under match: resend, and a read.
func BenchmarkCall(b *testing.B) {
	one := func() string { return benchBody }
	for _, bench := range []struct {
		name, call string
		settings   func(*Settings)
		body       func() string
	}{
		{"header", "saveJob", nil, saves()},
		{"miss", "saveJob", deduplicated, saves()},
		{"missResend", "saveWorkflow", deduplicated, saves()},
		{"replay", "saveJob", deduplicated, one},
		{"read", "queryJob", deduplicated, one},
	} {
		b.Run(bench.name, func(b *testing.B) {
			benchCalls(b, benchProxy(b, bench.settings), bench.call, bench.body)
		})
	}
}
