package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// observing returns s with mode observe, and with a gate that would refuse.
func observing(s Settings) Settings {
	s.Observing = true
	s.Access = access.Policy{Mode: access.Enforce, TokenTTL: time.Hour}
	return s
}

// headLines are a raw message's header lines in order of their names. Names are
// compared without case but for that of an answer's header for 5.x clients; which ones the
// shim may add, and what is about a connection only, is left out.
func headLines(message string, added ...string) []string {
	head, _, _ := strings.Cut(message, "\r\n\r\n")
	start, rest, _ := strings.Cut(head, "\r\n")
	all := []string{start}
	for _, line := range strings.Split(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.HasPrefix(start, "HTTP/") || !strings.EqualFold(name, openapi.AuthKey) {
			name = strings.ToLower(name)
		}
		if !slices.Contains(append(added, "connection", "date"), name) {
			all = append(all, name+":"+value)
		}
	}
	slices.Sort(all)
	return all
}

func TestInModeObserveTheWireStaysAsItIs(t *testing.T) {
	const springs404 = `{"timestamp":"2026-01-01T00:00:00.000+00:00","status":404,"error":"Not Found","path":"/openApi/runJob2"}`
	json := []string{"Content-Type: application/json", "X-POWERJOB-APP-ID: 1", "X-POWERJOB-ACCESS-TOKEN: t"}
	requests := map[string]string{
		"saveJob":       request("POST", "/openApi/saveJob", saveBody(1, "a"), json...),
		"runJob":        request("POST", "/openApi/runJob", "jobId=1&appId=1", "Content-Type: application/x-www-form-urlencoded"),
		"fetchAllJob":   request("POST", "/openApi/fetchAllJob", "appId=1", "Content-Type: application/x-www-form-urlencoded"),
		"authApp":       request("POST", "/openApi/authApp", `{"appName":"app1"}`, json...),
		"runJob2":       request("POST", "/openApi/runJob2", `{"jobId":1,"appId":1}`, json...),
		"unknown":       request("POST", "/openApi/somethingNew", `{"jobId":1}`, json...),
		"odd path":      request("POST", "/openApi/./saveJob", saveBody(1, "a"), json...),
		"its own field": request("POST", "/openApi/saveJob", saveBody(1, "a"), append(json, "X-POWERJOB-AUTH-PASSED: x")...),
		"a page":        request("GET", "/", ""),
		"a worker's":    request("GET", "/server/assert?appName=app1", ""),
		"read by GET":   request("GET", "/openApi/fetchAllJob?appId=1", ""),
		"large":         request("POST", "/openApi/saveJob", saveBody(1, strings.Repeat("a", 8<<10)), json...),
		"in chunks":     request("POST", "/openApi/saveJob", "", append(json, "Transfer-Encoding: chunked")...) + "7\r\n{\"a\":1}\r\n0\r\n\r\n",
		"no chunks":     request("POST", "/openApi/saveJob", "", append(json, "Transfer-Encoding: chunked")...) + "0\r\n\r\n",
		"page's chunks": request("POST", "/job/save", "", append(json, "Transfer-Encoding: chunked")...) + "7\r\n{\"a\":1}\r\n0\r\n\r\n",
	}
	for name, answer := range map[string]string{
		"no header":     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"success\":true}",
		"exact":         "HTTP/1.1 200 OK\r\nX-POWERJOB-AUTH-PASSED: true\r\nContent-Length: 16\r\n\r\n{\"success\":true}",
		"lower case":    "HTTP/1.1 200 OK\r\nx-powerjob-auth-passed: true\r\nContent-Length: 16\r\n\r\n{\"success\":true}",
		"twice, denied": "HTTP/1.1 200 OK\r\nX-Powerjob-Auth-Passed: true\r\nX-POWERJOB-AUTH-PASSED: false\r\nContent-Length: 2\r\n\r\n{}",
		"a 404":         fmt.Sprintf("HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(springs404), springs404),
		"no content":    "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			for call, message := range requests {
				server := newRawServer(t, answer)
				settings := observing(dedupSettings(t, server.url))
				settings.Dedup.MaxBody = 4 << 10
				s := newShim(t, settings)
				for range 2 { // the second is a repetition
					got := raw(t, s.addr, message)
					if want := headLines(answer); !slices.Equal(headLines(got, "x-request-id"), want) {
						t.Errorf("%s: the caller got\n%q, want\n%q", call, headLines(got, "x-request-id"), want)
					}
					if bodyOf(got) != bodyOf(answer) {
						t.Errorf("%s: the caller got the body %q, want %q", call, bodyOf(got), bodyOf(answer))
					}
				}
				received := server.requests()
				if len(received) != 2 {
					t.Fatalf("%s: the server got %d requests, want 2: %q", call, len(received), received)
				}
				for _, r := range received {
					if want := headLines(message); !slices.Equal(headLines(r, "x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "cdn-loop"), want) {
						t.Errorf("%s: the server got\n%q, want\n%q", call, headLines(r, "x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "cdn-loop"), want)
					}
					if bodyOf(r) != bodyOf(message) {
						t.Errorf("%s: the server got the body %q, want %q", call, bodyOf(r), bodyOf(message))
					}
				}
			}
		})
	}
}

func TestModeObserveShowsWhetherOneIsAffected(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	enforced := dedupSettings(t, url)
	s := newShim(t, observing(enforced))
	c := logIn(t, s.addr)
	for _, name := range []string{"a", "b", "c"} {
		must(t, c, "saveJob", client.Params{"jobName": name})
	}
	wantExecuted(t, server, "saveJob", 6) // as without the shim
	if got := s.sum(t, "powerjob_shim_dedup_total", "call", "saveJob", "decision", "observed"); got != 3 {
		t.Errorf("%v saves observed, want 3", got)
	}
	if got := s.sum(t, "powerjob_shim_header_total", "action", "added"); got == 0 {
		t.Error("no header is counted as one that would be added")
	}
	if got := s.sum(t, "powerjob_shim_observing"); got != 1 {
		t.Errorf("the gauge is %v", got)
	}
	if got := s.sum(t, "powerjob_shim_header_lost_total"); got != 0 {
		t.Errorf("the header counts as lost %v times: the alert would fire", got)
	}
	for _, entry := range s.logs.All() {
		if strings.Contains(entry.Message, "repeats its calls") {
			t.Errorf("warned: %s", entry.Message)
		}
	}

	if err := s.Swap(enforced); err != nil {
		t.Fatal(err)
	}
	must(t, c, "saveJob", client.Params{"jobName": "d"})
	wantExecuted(t, server, "saveJob", 7)
	if got := s.sum(t, "powerjob_shim_observing"); got != 0 {
		t.Errorf("the gauge is %v after the reload", got)
	}
	if err := s.Swap(observing(enforced)); err != nil {
		t.Fatal(err)
	}
	must(t, c, "saveJob", client.Params{"jobName": "e"})
	wantExecuted(t, server, "saveJob", 9)
}
