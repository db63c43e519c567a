package proxy

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/link"
	"powerjob-shim/rules/openapi"
)

func TestARequestIsOneLogLineWithTheseFields(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	raw(t, s.addr, request("POST", "/openApi/saveJob?token=secret", `{"a":1}`, "X-Request-Id: abc-1"))
	got := s.logLine(t, 0)
	for name, want := range map[string]any{
		"request_id":      "abc-1",
		"route":           "default",
		"call":            "saveJob",
		"method":          "POST",
		"path":            "/openApi/saveJob",
		"status":          int64(200),
		"bytes_in":        int64(7),
		"bytes_out":       int64(len(okBody)),
		"upstream":        "default",
		"upstream_server": strings.TrimPrefix(up.url, "http://"),
		"client":          "127.0.0.1",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
		delete(got, name)
	}
	for _, name := range []string{"duration_seconds", "upstream_duration_seconds"} {
		if d, ok := got[name].(float64); !ok || d <= 0 || d > patience.Seconds() {
			t.Errorf("%s is %v", name, got[name])
		}
		delete(got, name)
	}
	if len(got) != 0 {
		t.Errorf("further fields: %v", slices.Collect(maps.Keys(got)))
	}
	if n := s.sum(t, "powerjob_shim_requests_total", "route", "default", "call", "saveJob", "code", "200"); n != 1 {
		t.Errorf("requests_total is %v, want 1", n)
	}
	if n := s.sum(t, "powerjob_shim_request_duration_seconds", "route", "default", "call", "saveJob"); n != 1 {
		t.Errorf("request_duration_seconds counted %v, want 1", n)
	}
	if n := s.sum(t, "powerjob_shim_upstream_requests_total", "upstream", "default", "call", "saveJob", "code", "200"); n != 1 {
		t.Errorf("upstream_requests_total is %v, want 1", n)
	}
	if n := s.sum(t, "powerjob_shim_upstream_duration_seconds", "upstream", "default"); n != 1 {
		t.Errorf("upstream_duration_seconds counted %v, want 1", n)
	}
}

func TestAFailedForwardIsLoggedWithItsError(t *testing.T) {
	s := newShim(t, settingsFor(t, deadServer(t)))
	raw(t, s.addr, request("GET", "/", ""))
	got := s.logLine(t, 0)
	if text, _ := got["error"].(string); !strings.Contains(text, "connection refused") || got["status"] != int64(502) || got["call"] != "other" {
		t.Errorf("the log line is %v", got)
	}
}

func TestTheAccessLogCanBeOff(t *testing.T) {
	settings := settingsFor(t, newRawServer(t, answerWith()).url)
	settings.AccessLog = false
	s := newShim(t, settings)
	raw(t, s.addr, request("GET", "/", ""))
	if n := s.sum(t, "powerjob_shim_upstream_requests_total"); n != 1 {
		t.Fatalf("%v requests were forwarded, want 1", n)
	}
	if all := s.logs.FilterMessage("request").All(); len(all) != 0 {
		t.Errorf("the log has %v", all)
	}
}

func TestARequestIDIsKeptIfSaneElseMade(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	for i, c := range []struct {
		headers []string
		kept    bool
	}{
		{[]string{"X-Request-Id: a/b+c=;~"}, true},
		{[]string{"x-request-id: " + strings.Repeat("a", 128)}, true},
		{nil, false},
		{[]string{"X-Request-Id: " + strings.Repeat("a", 129)}, false},
		{[]string{"X-Request-Id: a b"}, false},
		{[]string{"X-Request-Id: \xe4"}, false},
		{[]string{"X-Request-Id:"}, false},
		{[]string{"X-Request-Id: a", "X-Request-Id: b"}, false},
	} {
		answer := raw(t, s.addr, request("GET", "/", "", c.headers...))
		sent, got := lines(up.requests()[i], exchange.RequestIDHeader), lines(answer, exchange.RequestIDHeader)
		if len(sent) != 1 || !slices.Equal(sent, got) {
			t.Errorf("%q: the upstream got %q, the client %q", c.headers, sent, got)
			continue
		}
		if kept := c.headers != nil && strings.EqualFold(sent[0], c.headers[0]); kept != c.kept {
			t.Errorf("%q became %q", c.headers, sent)
		}
		if id := s.logLine(t, i)[exchange.FieldRequestID]; "X-Request-Id: "+id.(string) != sent[0] {
			t.Errorf("the log says %v, the upstream got %q", id, sent)
		}
	}
	if answer := raw(t, s.addr, request("CONNECT", "a:1", "", "X-Request-Id: r")); len(lines(answer, exchange.RequestIDHeader)) != 1 {
		t.Errorf("the shim's own error has no request id:\n%s", answer)
	}
}

func TestAnUpstreamsOwnRequestIDIsKept(t *testing.T) {
	s := newShim(t, settingsFor(t, newRawServer(t, answerWith("X-Request-ID: theirs")).url))
	if got := lines(raw(t, s.addr, request("GET", "/", "")), exchange.RequestIDHeader); !slices.Equal(got, []string{"X-Request-Id: theirs"}) {
		t.Errorf("the client got %q", got)
	}
}

func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, settingsFor(t, up.url))
	panics := link.Route{Log: s.log, Metrics: s.metrics}.Link(func(w http.ResponseWriter, r *http.Request, _ *exchange.Exchange) {
		if r.URL.Path == "/begun" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		panic("boom")
	})
	s.handler = link.Account{Snapshot: s.snap.Load, Active: &s.active, Log: s.log, Metrics: s.metrics}.Link(panics)
	answer := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
	if statusOf(answer) != 500 || lines(answer, openapi.AuthHeader) != nil || strings.Contains(answer, "boom") {
		t.Errorf("the client got %q", answer)
	}
	answer = raw(t, s.addr, request("GET", "/begun", ""))
	if strings.HasSuffix(answer, "0\r\n\r\n") {
		t.Errorf("a broken answer looks whole: %q", answer)
	}
	if n := s.logs.FilterMessage("handler panicked").Len(); n != 2 {
		t.Errorf("%d panics were logged, want 2", n)
	}
	if status := s.logLine(t, 0)[exchange.FieldStatus]; status != int64(500) {
		t.Errorf("the log says %v, want 500", status)
	}
}

func TestTheTraceIsLogged(t *testing.T) {
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	s := newShim(t, settingsFor(t, newRawServer(t, answerWith()).url))
	n := 0
	for header, want := range map[string]string{
		"00-" + trace + "-" + parent + "-01":                             trace,
		"01-" + trace + "-" + parent + "-01-more":                        trace, // a later version
		"01-" + trace + "-" + parent + "-01":                             trace,
		"00-" + trace + "-" + parent + "-01-more":                        "",
		"01-" + trace + "-" + parent + "-01more":                         "",
		"ff-" + trace + "-" + parent + "-01":                             "",
		"00-" + strings.ToUpper(trace) + "-" + parent + "-01":            "",
		"00-" + strings.Repeat("0", 32) + "-" + parent + "-01":           "",
		"00-" + trace + "-" + strings.Repeat("0", 16) + "-01":            "",
		"00-" + trace[:31] + "-" + parent + "-01":                        "",
		"00-" + trace[:31] + "\"-" + parent + "-01":                      "",
		"00_" + trace + "-" + parent + "-01":                             "",
		"":                                                               "",
		"00-" + trace + "-" + parent + "-01, 00-" + trace + "-" + parent: "",
	} {
		raw(t, s.addr, request("GET", "/", "", "traceparent: "+header))
		if got, _ := s.logLine(t, n)[exchange.FieldTraceID].(string); got != want {
			t.Errorf("%q: the log has %q, want %q", header, got, want)
		}
		n++
	}
}
