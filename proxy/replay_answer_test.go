package proxy

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// savedHeader is everything that a server and the hops in front of it may say.
var savedHeader = http.Header{
	"Content-Type":                     {"application/json;charset=utf-8"},
	"Access-Control-Allow-Origin":      {"https://a.example"},
	"Access-Control-Allow-Credentials": {"true"},
	"Vary":                             {"Origin", "Access-Control-Request-Method"},
	"Cache-Control":                    {"no-store"},
	"X-Trace":                          {"7"},
	"X-Empty":                          {""},
	"X-Powerjob-Auth-Passed":           {"true"},
}

// onlyFirst is what belongs to the first answer alone.
var onlyFirst = http.Header{
	"Date": {"Mon, 01 Jan 2024 00:00:00 GMT"}, "Set-Cookie": {"a=b", "c=d"}, "X-Request-Id": {"from-the-server"}, "Etag": {`"1"`},
	"Age": {"3"}, "Server-Timing": {"db;dur=1"}, "Alt-Svc": {`h2=":443"`}, "Keep-Alive": {"timeout=60"},
}

// savesWith is a server that executes saveJob and answers with these headers.
func savesWith(t *testing.T, zip bool, headers ...http.Header) (url string, executed *atomic.Int64) {
	t.Helper()
	executed = new(atomic.Int64)
	return upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		n := executed.Add(1)
		for _, h := range headers {
			for name, values := range h {
				w.Header()[name] = values
			}
		}
		body := fmt.Sprintf(`{"success":true,"data":%d,"message":null}`, n)
		if zip {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write([]byte(body))
			_ = z.Close()
			return
		}
		_, _ = w.Write([]byte(body))
	}), executed
}

// fields returns an answer's header lines in order, without those of names.
func fields(answer string, names ...string) []string {
	head, _, _ := strings.Cut(answer, "\r\n\r\n")
	all := strings.Split(head, "\r\n")[1:]
	return slices.DeleteFunc(slices.Sorted(slices.Values(all)), func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	})
}

func TestAReplayLooksLikeTheFirstAnswer(t *testing.T) {
	for _, zip := range []bool{false, true} {
		url, executed := savesWith(t, zip, savedHeader, onlyFirst)
		s := newShim(t, dedupSettings(t, url))
		first, second := raw(t, s.addr, save(saveBody(0, "a"))), raw(t, s.addr, save(saveBody(0, "a")))
		if executed.Load() != 1 || decision(second) != "replayed" {
			t.Fatalf("executed %d times, the second is %s", executed.Load(), decision(second))
		}
		apart := []string{headerShim, "Content-Length", "Content-Encoding", "Transfer-Encoding"}
		for name := range onlyFirst {
			apart = append(apart, name)
		}
		if a, b := fields(first, apart...), fields(second, apart...); !slices.Equal(a, b) || len(a) < 10 {
			t.Errorf("the first answer has\n%s\nthe replay\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		for name, values := range onlyFirst {
			got := lines(second, name)
			switch name {
			case "Date", "X-Request-Id": // its own
				if len(got) != 1 || strings.Contains(got[0], values[0]) {
					t.Errorf("the replay has %q", got)
				}
			default:
				if len(got) != 0 {
					t.Errorf("the replay has %q", got)
				}
			}
		}
		if got := bodyOf(second); got != `{"success":true,"data":1,"message":null}` || len(lines(second, "Content-Encoding")) != 0 {
			t.Errorf("the replay's body is %q", got)
		}
	}
}

func TestCallsOfTwoOriginsAreNotOne(t *testing.T) {
	url, executed := savesWith(t, false, savedHeader)
	s := newShim(t, dedupSettings(t, url))
	for i, origin := range []string{"https://a.example", "https://b.example", "https://a.example", ""} {
		headers := []string{jsonLine, "X-POWERJOB-APP-ID: 1", "X-POWERJOB-ACCESS-TOKEN: t1"}
		if origin != "" {
			headers = append(headers, "Origin: "+origin)
		}
		got := decision(raw(t, s.addr, request("POST", "/openApi/saveJob", saveBody(0, "a"), headers...)))
		if want := []string{"forwarded", "forwarded", "replayed", "forwarded"}[i]; got != want {
			t.Errorf("from %q: %s, want %s", origin, got, want)
		}
	}
	if executed.Load() != 3 {
		t.Errorf("executed %d times, want 3", executed.Load())
	}
}

// An answer is kept up to max_answer bytes, those of its header included.
func TestTheHeaderOfAnAnswerCountsForMaxAnswer(t *testing.T) {
	for size, want := range map[int]string{100: "replayed", 2000: "forwarded"} {
		url, executed := savesWith(t, false, http.Header{"X-Large": {strings.Repeat("x", size)}})
		settings := dedupSettings(t, url)
		settings.Dedup.MaxAnswer = 1024
		s := newShim(t, settings)
		first, second := raw(t, s.addr, save(saveBody(0, "a"))), raw(t, s.addr, save(saveBody(0, "a")))
		if got := decision(second); got != want {
			t.Errorf("a header of %d bytes: %s, want %s after %d executions", size, got, want, executed.Load())
		}
		for _, answer := range []string{first, second} {
			if got := lines(answer, "X-Large"); len(got) != 1 || len(got[0]) != size+len("X-Large: ") || !strings.Contains(answer, `"success":true`) {
				t.Errorf("an answer with %d bytes of header came as %.200q", size, answer)
			}
		}
	}
}
