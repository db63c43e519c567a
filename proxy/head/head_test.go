package head

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/rules/openapi"
)

// net/http is the oracle.
func TestWriteWritesWhatNetHTTPDoes(t *testing.T) {
	parts := []string{"Host", "X-POWERJOB-AUTH-PASSED", "x-lower", "Trailer:X", "bad name", "Content-Length", "", "é", "a", " ", "\t", "\r\n", "\n", "v", ", ", "\x00"}
	pick := func(rnd *rand.Rand) string {
		var b strings.Builder
		for range rnd.IntN(4) {
			b.WriteString(parts[rnd.IntN(len(parts))])
		}
		return b.String()
	}
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		h := http.Header{"Content-Length": {"1"}}
		for i := range rnd.IntN(50) {
			name := pick(rnd)
			if rnd.IntN(2) == 0 {
				name = fmt.Sprint("X-", i)
			}
			for range rnd.IntN(3) {
				h[name] = append(h[name], pick(rnd))
			}
		}
		var want, got bytes.Buffer
		_ = h.WriteSubset(&want, map[string]bool{"Content-Length": true})
		if Write(&got, h, func(name string) bool { return name == "Content-Length" }); got.String() != want.String() {
			t.Fatalf("seed %d: of %q\ngot  %q\nwant %q", seed, h, got.String(), want.String())
		}
	}
}

func TestWriteTakesNoMemory(t *testing.T) {
	h := http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"1"}, "Date": {"now"}}
	var b bytes.Buffer
	if n := testing.AllocsPerRun(100, func() { b.Reset(); Write(&b, h, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The names that fieldName knows are judged as net/http judges them.
func TestKnownNames(t *testing.T) {
	for _, name := range []string{
		openapi.TokenHeader, openapi.AppIDHeader, openapi.AuthHeader, "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Date",
		"Host", "Keep-Alive", "Transfer-Encoding", "User-Agent", "Vary", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Powerjob-Shim", "X-Request-Id", openapi.TokenKey, openapi.AppIDKey, openapi.AuthKey, "te", "HTTP2-settings", "a b", "",
	} {
		if got, ok := fieldName(name); got != http.CanonicalHeaderKey(name) || ok != httpguts.ValidHeaderFieldName(name) {
			t.Errorf("%q: got %q, %v", name, got, ok)
		}
	}
}
