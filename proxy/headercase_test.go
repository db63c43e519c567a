package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/headercase"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

const okBody = `{"success":true,"data":1,"message":null}`

// answerWith is a raw answer with extra header lines.
func answerWith(extra ...string) string {
	head := append([]string{"HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 40"}, extra...)
	return strings.Join(head, "\r\n") + "\r\n\r\n" + okBody
}

func TestTheHeaderIsWrittenInExactCaseExactlyOnce(t *testing.T) {
	const want = "X-POWERJOB-AUTH-PASSED: "
	for _, c := range []struct {
		name    string
		answer  []string
		request []string
		want    []string
		action  rules.HeaderAction
	}{
		{"added where the upstream sent none", nil, nil, []string{want + "true"}, rules.HeaderAdded},
		{"the upstream's true is re-cased", []string{"X-POWERJOB-AUTH-PASSED: true"}, nil, []string{want + "true"}, rules.HeaderKept},
		{"a lower-case true is re-cased", []string{"x-powerjob-auth-passed: true"}, nil, []string{want + "true"}, rules.HeaderKept},
		{"an unusual value is kept", []string{"X-Powerjob-Auth-Passed:  yes, maybe "}, nil, []string{want + "yes, maybe"}, rules.HeaderKept},
		{"an empty value is kept", []string{"X-Powerjob-Auth-Passed:"}, nil, []string{want}, rules.HeaderKept},
		{"false is never overwritten", []string{"X-Powerjob-Auth-Passed: false"}, nil, []string{want + "false"}, rules.HeaderDenied},
		{"true twice is written once", []string{"X-Powerjob-Auth-Passed: true", "x-powerjob-auth-passed: true"}, nil, []string{want + "true"}, rules.HeaderKept},
		{"a false among several wins", []string{"X-Powerjob-Auth-Passed: true", "x-powerjob-auth-passed: False"}, nil, []string{want + "False"}, rules.HeaderDenied},
		{"the answer's Connection header cannot strip a false", []string{"Connection: X-POWERJOB-AUTH-PASSED", "X-POWERJOB-AUTH-PASSED: false"}, nil, []string{want + "false"}, rules.HeaderDenied},
		{"nor among others", []string{"Connection: foo,x-powerjob-auth-passed , bar", "X-POWERJOB-AUTH-PASSED: false"}, nil, []string{want + "false"}, rules.HeaderDenied},
		{"nor a true", []string{"Connection: X-POWERJOB-AUTH-PASSED", "X-POWERJOB-AUTH-PASSED: true"}, nil, []string{want + "true"}, rules.HeaderKept},
		{"the request's Connection header cannot strip it", nil, []string{"Connection: X-POWERJOB-AUTH-PASSED"}, []string{want + "true"}, rules.HeaderAdded},
		{"a client's own header does not come back", nil, []string{"X-POWERJOB-AUTH-PASSED: false"}, []string{want + "true"}, rules.HeaderAdded},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newRawServer(t, answerWith(c.answer...))
			s := newShim(t, settingsFor(t, up.url))
			got := raw(t, s.addr, request("POST", "/openApi/saveJob", `{}`, c.request...))
			if found := lines(got, openapi.AuthHeader); !slices.Equal(found, c.want) {
				t.Errorf("the client got %q, want %q in\n%s", found, c.want, got)
			}
			if !strings.HasSuffix(got, okBody) {
				t.Errorf("the body is not what the upstream sent:\n%s", got)
			}
			for _, req := range up.requests() {
				if found := lines(req, openapi.AuthHeader); found != nil {
					t.Errorf("the upstream got %q", found)
				}
			}
			for _, a := range []rules.HeaderAction{rules.HeaderAdded, rules.HeaderKept, rules.HeaderRecased, rules.HeaderDenied} {
				want := 0.0
				if a == c.action {
					want = 1
				}
				if n := s.sum(t, "powerjob_shim_header_total", "action", string(a)); n != want {
					t.Errorf("header_total{action=%q} is %v, want %v", a, n, want)
				}
			}
		})
	}
}

func TestTheHeaderIsOnEveryUpstreamAnswerWhateverItsStatus(t *testing.T) {
	for _, status := range []string{"200 OK", "204 No Content", "304 Not Modified", "400 Bad Request", "404 Not Found", "408 Request Timeout", "500 Internal Server Error", "503 Service Unavailable"} {
		up := newRawServer(t, "HTTP/1.1 "+status+"\r\nConnection: close\r\n\r\n")
		s := newShim(t, settingsFor(t, up.url))
		got := raw(t, s.addr, request("POST", "/openApi/runJob", "jobId=1"))
		if found := lines(got, openapi.AuthHeader); !slices.Equal(found, []string{"X-POWERJOB-AUTH-PASSED: true"}) {
			t.Errorf("%s: the client got %q in\n%s", status, found, got)
		}
	}
}

func TestTheHeaderIsOnChunkedAnswersAndTheirTrailersPass(t *testing.T) {
	up := newRawServer(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")
	s := newShim(t, settingsFor(t, up.url))
	got := raw(t, s.addr, request("GET", "/openApi/fetchAllJob", ""))
	if found := lines(got, openapi.AuthHeader); !slices.Equal(found, []string{"X-POWERJOB-AUTH-PASSED: true"}) {
		t.Errorf("the client got %q in\n%s", found, got)
	}
	if !strings.HasSuffix(got, "\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n") {
		t.Errorf("body and trailer are not what the upstream sent:\n%s", got)
	}
}

func TestOnlyRulePathsGetTheHeader(t *testing.T) {
	up := newRawServer(t, answerWith("X-Other-Thing: 1"))
	s := newShim(t, settingsFor(t, up.url))
	for _, target := range []string{"/", "/openApi", "/openapi/saveJob", "/server/assert", "/js/openApi/x"} {
		got := raw(t, s.addr, request("GET", target, ""))
		if found := lines(got, openapi.AuthHeader); found != nil {
			t.Errorf("%s: the client got %q", target, found)
		}
		if found := lines(got, "x-other-thing"); !slices.Equal(found, []string{"X-Other-Thing: 1"}) {
			t.Errorf("%s: another header became %q", target, found)
		}
	}
	for _, target := range []string{"/openApi/saveJob/", "/openApi/%73aveJob", "/openApi;x=y/saveJob", "/openApi/saveJob;x=y?a=b", "/openApi/unknown"} {
		got := raw(t, s.addr, request("POST", target, "x"))
		if found := lines(got, openapi.AuthHeader); !slices.Equal(found, []string{"X-POWERJOB-AUTH-PASSED: true"}) {
			t.Errorf("%s: the client got %q", target, found)
		}
	}
}

func TestUnderAContextPathTheRulesAreRelativeToThePrefix(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := settingsFor(t, up.url)
	u := settings.Upstreams["default"]
	u.OpenAPIPrefix = "/x/openApi"
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	got := raw(t, s.addr, request("POST", "/x/openApi/saveJob", "{}"))
	if found := lines(got, openapi.AuthHeader); len(found) != 1 {
		t.Errorf("the client got %q", found)
	}
	if call := s.logLine(t, 0)[exchange.FieldCall]; call != "saveJob" {
		t.Errorf("the call is %q, want saveJob", call)
	}
	if got := up.requests()[0]; !strings.HasPrefix(got, "POST /x/openApi/saveJob HTTP/1.1\r\n") {
		t.Errorf("the upstream got %q", got)
	}
}

func TestARuleWithoutAValueOnlyRestoresTheCase(t *testing.T) {
	settings := settingsFor(t, newRawServer(t, answerWith("x-trace-ID: a", "X-Trace-Id: b")).url)
	settings.Rules = compileRules(t,
		rules.Rule{Name: "trace", Paths: []string{"/*"}, Header: &rules.Header{Name: "X-TRACE-id"}},
		rules.Rule{Name: "none", Paths: []string{"/*"}, Header: &rules.Header{Name: "X-NONE"}})
	s := newShim(t, settings)
	got := raw(t, s.addr, request("GET", "/", ""))
	if found := lines(got, "x-trace-id"); !slices.Equal(found, []string{"X-TRACE-id: a", "X-TRACE-id: b"}) {
		t.Errorf("the client got %q", found)
	}
	if found := lines(got, "x-none"); found != nil {
		t.Errorf("the client got %q", found)
	}
}

func TestTwoRulesForOneHeaderWriteItOnce(t *testing.T) {
	for _, first := range []string{"true", ""} {
		h := http.Header{authLine: {"false"}}
		headercase.Apply(h, rules.Header{Name: openapi.AuthHeader, Value: first})
		headercase.Apply(h, rules.Header{Name: "x-powerjob-AUTH-passed", Value: "true"})
		if len(h) != 1 || !slices.Equal(h["x-powerjob-AUTH-passed"], []string{"false"}) { //nolint:staticcheck // SA1008: the case is the point
			t.Errorf("the header is %v", h)
		}
	}
}
