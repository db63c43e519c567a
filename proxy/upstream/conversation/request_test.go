package conversation

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Whatever a request is, what is written is what net/http writes.
func TestARequestIsWrittenAsNetHTTPWritesIt(t *testing.T) {
	common := 0
	for seed := range uint64(5000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		pick := func(usual string, odd ...string) string {
			if rnd.IntN(8) > 0 {
				return usual
			}
			return odd[rnd.IntN(len(odd))]
		}
		r := &http.Request{
			Method: pick("POST", "GET", "PUT", "", "post"),
			URL:    &url.URL{Scheme: "http", Host: "10.0.0.1:7700", Opaque: pick("/openApi/saveJob?a=b c", "", "//h/x", "/a\tb", "/a\x00", "/\u00e9", "*")},
			Host:   pick("powerjob:7700", "", "[::1]:7700", "Powerjob", "b\u00fccher", "fe80::1%25eth0", "a b"),
			Header: http.Header{"Content-Type": {"application/json"}, "X-B": {"1", " 2"}, "Content-Length": {"7"}, "X-A": {"a\r\nb"}, "Bad name": {"x"}},
			Close:  rnd.IntN(20) == 0,
		}
		switch rnd.IntN(4) {
		case 0:
			r.Header["User-Agent"] = nil
		case 1:
			r.Header["User-Agent"] = []string{pick("okhttp/3.14.9", "", "a\nb"), "second"}
		}
		if rnd.IntN(20) == 0 {
			r.URL.Path, r.URL.Opaque = "/x", ""
		}
		body := pick(`{"id":1}`, "", "long "+strings.Repeat("x", 5000))
		again := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
		r.ContentLength, r.GetBody = int64(len(body)), again
		if r.Body = http.NoBody; body != "" {
			r.Body, _ = again()
		}
		if rnd.IntN(20) == 0 {
			r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		}
		if rnd.IntN(20) == 0 {
			r.ContentLength++ // the body is shorter
		}
		var want, got bytes.Buffer
		if isCommon(r) && int(r.ContentLength) == len(body) {
			common++
		}
		failed := write(r, &got)
		if r.Body != http.NoBody {
			r.Body, _ = again()
		}
		wrong := r.Write(&want)
		if (failed == nil) != (wrong == nil) || wrong == nil && got.String() != want.String() {
			t.Fatalf("seed %d: %v\n%q, want %v\n%q", seed, failed, got.String(), wrong, want.String())
		}
	}
	if common < 1000 {
		t.Errorf("only %d requests took the short way", common)
	}
}
