package proxy

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

// Answers that a server should not have given.

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// A client whose header is lost, behind it a hop that compresses everything.
func TestCompressedAnswersAreReadAndReplayedPlain(t *testing.T) {
	executed := 0
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Get("Accept-Encoding"); v != "gzip" {
			t.Errorf("%s: the server got Accept-Encoding %q, want gzip as it came", r.URL.Path, v)
		}
		answer := `{"success":true,"data":{"appId":1,"token":"R"}}`
		if r.URL.Path == "/openApi/runJob" {
			executed++
			answer = `{"success":true,"data":7}`
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipped(answer))
	})
	s := newShim(t, dedupSettings(t, url))
	run := func(token string) string {
		return exchangeOnce(t, s.addr, request("POST", "/openApi/runJob", "jobId=1", "Accept-Encoding: gzip",
			"Content-Type: application/x-www-form-urlencoded", "X-POWERJOB-APP-ID: 1", "X-POWERJOB-ACCESS-TOKEN: "+token))
	}
	first := run("T")
	if len(lines(first, "Content-Encoding")) != 1 || !strings.HasSuffix(first, string(gzipped(`{"success":true,"data":7}`))) {
		t.Errorf("the caller got %q, want the server's bytes", first)
	}
	exchangeOnce(t, s.addr, request("POST", "/openApi/authApp", "{}", "Accept-Encoding: gzip", "Content-Type: application/json"))
	again := run("R")
	if decision(again) != "replayed" || len(lines(again, "Content-Encoding")) != 0 || bodyOf(again) != `{"success":true,"data":7}` {
		t.Errorf("the re-send got %q, want it replayed in plain", again)
	}
	if executed != 1 {
		t.Errorf("executed %d times, want once", executed)
	}
}

func TestAnAnswerInAnUnknownEncodingIsNoOneElses(t *testing.T) {
	for _, encoding := range []string{"br", "gzip"} { // the latter is not what it says
		executed := 0
		url := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
			executed++
			w.Header().Set("Content-Encoding", encoding)
			_, _ = w.Write([]byte("not to be read"))
		})
		s := newShim(t, dedupSettings(t, url))
		for range 2 {
			answer := exchangeOnce(t, s.addr, save(saveBody(0, "a")))
			if decision(answer) != "forwarded" || len(lines(answer, "Content-Encoding")) != 1 {
				t.Errorf("got %q, want it forwarded, with its encoding", answer)
			}
		}
		if executed != 2 {
			t.Errorf("%s: executed %d times, want 2", encoding, executed)
		}
	}
}

func TestWhatTheRecordWentByReachesTheServerWhateverConnectionNames(t *testing.T) {
	var got http.Header
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	s := newShim(t, dedupSettings(t, url))
	exchangeOnce(t, s.addr, request("POST", "/openApi/saveJob", "{}", "Content-Type: application/json", "X-POWERJOB-APP-ID: 7",
		"X-POWERJOB-ACCESS-TOKEN: t", "Connection: X-POWERJOB-APP-ID, X-POWERJOB-ACCESS-TOKEN, Content-Type"))
	for name, want := range map[string]string{"Content-Type": "application/json", "X-Powerjob-App-Id": "7", "X-Powerjob-Access-Token": "t"} {
		if v := got.Get(name); v != want {
			t.Errorf("the server got %s %q, want %q", name, v, want)
		}
	}
}

func TestALoginsAnswerThatBreaksOffIsA502NotACutConnection(t *testing.T) {
	server := newRawServer(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{\"succ")
	s := newShim(t, dedupSettings(t, server.url))
	answer := exchangeOnce(t, s.addr, request("POST", "/openApi/authApp", "{}", "Content-Type: application/json"))
	if statusOf(answer) != 502 || !strings.Contains(answer, `"success":false`) || len(lines(answer, authLine)) != 0 {
		t.Errorf("got %q, want a whole 502", answer)
	}
}

func TestAStatusBelow100IsNoSuccess(t *testing.T) {
	server := newRawServer(t, "HTTP/1.1 099 Odd\r\nContent-Length: 16\r\n\r\n{\"success\":true}")
	s := newShim(t, dedupSettings(t, server.url))
	answer := exchangeOnce(t, s.addr, save(saveBody(0, "a")))
	if statusOf(answer) != 504 || decision(answer) != "unknown" || len(lines(answer, authLine)) != 0 {
		t.Errorf("got %q, want 504 unknown", answer)
	}
}

func TestTheLogQuotesNothingOfAMalformedAnswer(t *testing.T) {
	server := newRawServer(t, "{\"data\":{\"token\":\"SECRET\"}}\r\nConnection: close\r\n\r\n")
	s := newShim(t, answering(dedupSettings(t, server.url)))
	exchangeOnce(t, s.addr, request("POST", "/openApi/authApp", "{}", "Content-Type: application/json"))
	for _, entry := range s.logs.All() {
		for _, f := range entry.Context {
			if strings.Contains(f.String, "SECRET") {
				t.Errorf("%s: field %s is %q", entry.Message, f.Key, f.String)
			}
		}
	}
}
