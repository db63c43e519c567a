package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"powerjob-shim/rules"
	"powerjob-shim/rules/dedup"
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

// BenchmarkRemembered is what one call costs the store, by how many it
// remembers, and what one of them costs in memory.
func BenchmarkRemembered(b *testing.B) {
	for _, size := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			before := heap()
			store := dedup.NewMemory(dedup.Limits{Entries: size})
			n := 0
			for range size {
				n++
				remember(b, store, n)
			}
			perCall := float64(heap()-before) / float64(size)
			b.ReportAllocs()
			for b.Loop() {
				n++
				remember(b, store, n)
			}
			b.ReportMetric(perCall, "heap-B/call")
			runtime.KeepAlive(store)
		})
	}
}

// remember takes the n-th of calls through the store that all differ, each on
// a job of its own.
func remember(b *testing.B, store *dedup.Memory, n int) {
	call := dedup.Call{
		ID: store.NextID(), Group: "default", App: "1", Token: dedup.Token{1},
		Key:      dedup.KeyParts{Group: "default", Body: strconv.AppendInt(nil, int64(n), 10)}.Key(),
		Subjects: openapi.Subjects{Known: []openapi.Subject{{Kind: openapi.Job, ID: int64(n)}}},
		Window:   time.Hour, Dedup: true, Body: true,
	}
	if d := store.Arrive(call); d.Verdict != dedup.Lead {
		b.Fatalf("verdict %d", d.Verdict)
	}
	body, _ := json.Marshal(map[string]any{"success": true, "data": n, "message": nil})
	store.Finish(call.ID, dedup.Outcome{Kind: dedup.Kept, Answer: &dedup.Answer{Status: 200, ContentType: "application/json", Body: body}})
	store.Delivered(call.ID)
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
