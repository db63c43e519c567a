package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/exchange"
)

// chunked makes a save's body chunked.
func chunked(message string) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	head, _, _ = strings.Cut(head, "\r\nContent-Length:")
	half := len(body) / 2
	return fmt.Sprintf("%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", head, half, body[:half], len(body)-half, body[half:])
}

func TestABodyCutOffIsNeitherForwardedNorRecorded(t *testing.T) {
	whole := save(saveBody(0, "a"))
	for name, message := range map[string]string{
		"with a length": whole[:len(whole)-5],
		"chunked":       strings.TrimSuffix(chunked(whole), "\r\n0\r\n\r\n"),
		"in a chunk":    strings.TrimSuffix(chunked(whole), "}\r\n0\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			s, server := newDedup(t, legacy.Options{})
			c := dial(t, s.addr)
			_, _ = io.WriteString(c, message)
			_ = c.CloseWrite()
			_ = c.SetReadDeadline(time.Now().Add(patience))
			answer, _ := io.ReadAll(c)
			if got := string(answer); statusOf(got) != 400 || len(lines(got, authLine)) != 0 || !strings.Contains(got, "send it again as a whole") {
				t.Errorf("the caller got %q", got)
			}
			if n := server.Received(""); n != 0 {
				t.Errorf("the server got %d requests, want none", n)
			}
			if stats := s.store.Stats(); stats.Entries+stats.InFlight != 0 {
				t.Errorf("the store holds %+v", stats)
			}
			if n := s.bodies.Used(); n != 0 {
				t.Errorf("%d bytes of the budget are gone", n)
			}
		})
	}
}

func TestABrokenChunkIsNotForwarded(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	if got := raw(t, s.addr, strings.Replace(chunked(save(saveBody(0, "a"))), "\r\n0\r\n", "\r\nxyz\r\n", 1)); statusOf(got) != 400 {
		t.Errorf("the caller got %q", got)
	}
	if n := server.Received(""); n != 0 {
		t.Errorf("the server got %d requests, want none", n)
	}
}

func TestAChunkedSaveIsDeduplicatedAndReFramed(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	for _, want := range []string{"forwarded", "replayed"} {
		if got := decision(raw(t, s.addr, chunked(save(saveBody(0, "a"))))); got != want {
			t.Errorf("a chunked save was %s, want %s", got, want)
		}
	}
	if got := decision(raw(t, s.addr, save(saveBody(0, "a")))); got != "replayed" {
		t.Errorf("the same save with a length was %s", got)
	}
	wantExecuted(t, server, "saveJob", 1)
	if h := server.Requests()[0].Header; h.Get("Transfer-Encoding") != "" {
		t.Errorf("the server got %v", h)
	}
}

func TestALargeBodyPassesWholeAndIsCounted(t *testing.T) {
	large := saveBody(0, strings.Repeat("x", 3<<20))
	for name, message := range map[string]string{"with a length": save(large), "chunked": chunked(save(large))} {
		t.Run(name, func(t *testing.T) {
			s, server := newDedup(t, legacy.Options{})
			for range 2 {
				if got := raw(t, s.addr, message); statusOf(got) != 200 || decision(got) != "bypassed" || len(lines(got, authLine)) != 1 {
					t.Errorf("the caller got %.300q", got)
				}
			}
			wantExecuted(t, server, "saveJob", 2)
			for _, r := range server.Requests() {
				if string(r.Body) != large {
					t.Errorf("the server got a body of %d bytes, want %d", len(r.Body), len(large))
				}
			}
			if n := s.sum(t, "powerjob_shim_dedup_bypassed_total", "reason", "body_too_large"); n != 2 {
				t.Errorf("%v counted, want 2", n)
			}
			if reason := s.logLine(t, 0)[exchange.FieldReason]; reason != "body_too_large" {
				t.Errorf("the log says %v", reason)
			}
		})
	}
}

func TestABodyAtTheLimitIsDeduplicated(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	body := saveBody(0, "a")
	settings := dedupSettings(t, url)
	settings.Dedup.MaxBody = int64(len(body))
	s := newShim(t, settings)
	for i, want := range []string{"forwarded", "replayed"} {
		if got := decision(raw(t, s.addr, [...]string{save(body), chunked(save(body))}[i])); got != want {
			t.Errorf("save %d was %s, want %s", i, got, want)
		}
	}
	if got := decision(raw(t, s.addr, chunked(save(body+" ")))); got != "bypassed" {
		t.Errorf("a body one byte larger was %s", got)
	}
	wantExecuted(t, server, "saveJob", 2)
}

func TestBodiesBeyondTheBudgetAreForwardedAndCounted(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	s.bodies.Max = 30 // less than a save
	for range 2 {
		if got := raw(t, s.addr, chunked(save(saveBody(0, "a")))); statusOf(got) != 200 || decision(got) != "bypassed" {
			t.Errorf("the caller got %q", got)
		}
	}
	wantExecuted(t, server, "saveJob", 2)
	if n := s.sum(t, "powerjob_shim_dedup_bypassed_total", "reason", "body_budget"); n != 2 {
		t.Errorf("%v counted, want 2", n)
	}
	if n := s.bodies.Used(); n != 0 {
		t.Errorf("%d bytes of the budget are gone", n)
	}
}

// Of a body that came with its header nothing is read from the network, and no
// more is held than before.
func TestABodyThatCameWithItsHeaderIsFreeOfTheBudget(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	s.bodies.Max = 0
	for _, want := range []string{"forwarded", "replayed"} {
		if got := decision(raw(t, s.addr, save(saveBody(0, "a")))); got != want {
			t.Errorf("the save was %s, want %s", got, want)
		}
	}
	wantExecuted(t, server, "saveJob", 1)
}

// What came with the header and what comes later are one body.
func TestABodyThatCameInPartWithItsHeaderIsWhole(t *testing.T) {
	up := newRawServer(t, answerWith())
	s := newShim(t, dedupSettings(t, up.url))
	message := save(saveBody(0, "a"))
	part := len(message) - 10
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, message[:part])
	eventually(t, "the rest is waited for", func() bool { return s.bodies.Used() > 0 })
	_, _ = io.WriteString(c, message[part:])
	answer, err := io.ReadAll(c)
	if err != nil || decision(string(answer)) != "forwarded" {
		t.Errorf("the caller got %q, %v", answer, err)
	}
	if bodyOf(up.got[0]) != bodyOf(message) {
		t.Errorf("the server got %q", up.got)
	}
}

func TestABodyThatArrivesTooLateIsForwardedAllTheSame(t *testing.T) {
	for name, message := range map[string]string{
		"with a length": save(saveBody(0, "a")),
		"chunked":       chunked(save(saveBody(0, "a"))),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBubble(t, legacy.Options{}, nil)
				c, err := w.dialer("10.0.1.1")(t.Context(), "tcp", shimAddr)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, message[:len(message)-20])
				time.Sleep(body.HoldTimeout + time.Second)
				_, _ = io.WriteString(c, message[len(message)-20:])
				answer, err := readRaw(bufio.NewReader(c))
				if err != nil || statusOf(answer) != 200 || decision(answer) != "bypassed" || !strings.Contains(answer, `"success":true`) {
					t.Errorf("the caller got %q, %v", answer, err)
				}
				wantExecuted(t, w.server, "saveJob", 1)
			})
		})
	}
}

func TestMultipartFormsPassAndCountAsAChangeOfEverything(t *testing.T) {
	const boundary = "b"
	part := func(name, value string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	disable := request("POST", "/openApi/disableJob", part("jobId", "1")+part("appId", "1")+"--"+boundary+"--\r\n", "Content-Type: multipart/form-data; boundary="+boundary)
	s, server := newDedup(t, legacy.Options{})
	raw(t, s.addr, save(saveBody(0, "a")))
	raw(t, s.addr, save(saveBody(1, "b")))
	if got := raw(t, s.addr, disable); statusOf(got) != 200 || decision(got) != "forwarded" || !strings.Contains(got, `"success":true`) {
		t.Errorf("the caller got %q", got)
	}
	if got := decision(raw(t, s.addr, save(saveBody(1, "b")))); got != "forwarded" {
		t.Errorf("a save behind a change of who knows what was %s", got)
	}
	wantExecuted(t, server, "disableJob", 1)
	wantExecuted(t, server, "saveJob", 3)
}

func TestALargeAnswerStreamsThroughAndIsNotKept(t *testing.T) {
	const size = 600 << 10
	executed, rest := make(chan struct{}, 10), make(chan struct{})
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		executed <- struct{}{}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"success":true,"data":"`+strings.Repeat("x", size/2))
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = io.WriteString(w, strings.Repeat("x", size/2)+`"}`)
	})
	s := newShim(t, dedupSettings(t, url))
	c := dial(t, s.addr)
	_, _ = io.WriteString(c, save(saveBody(0, "a")))
	<-executed
	waiter := async(t, s.addr, save(saveBody(0, "a")))
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	if got, err := io.ReadAll(io.LimitReader(r, size/2)); err != nil || statusOf(string(got)) != 200 || decision(string(got)) != "forwarded" {
		t.Fatalf("before the answer's end the caller had %.200q, %v", got, err)
	}
	<-executed // who waited goes on by itself
	close(rest)
	if got, err := io.ReadAll(r); err != nil || !strings.HasSuffix(string(got), "x\"}\r\n0\r\n\r\n") {
		t.Errorf("the answer ends with %.40q, %v", got[max(0, len(got)-40):], err)
	}
	if res, body := parse(t, <-waiter); res.StatusCode != 200 || len(body) != size+len(`{"success":true,"data":""}`) {
		t.Errorf("who waited got %d with %d bytes", res.StatusCode, len(body))
	}
	if got := raw(t, s.addr, save(saveBody(0, "a"))); decision(got) != "forwarded" {
		t.Errorf("the next save was %s", decision(got))
	}
	if n := len(executed); n != 1 {
		t.Errorf("%d further executions, want 1", n)
	}
}

func TestALargeAnswerThatBreaksOffIsCutOffForTheCaller(t *testing.T) {
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"success":true,"data":"`+strings.Repeat("x", 600<<10))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	s := newShim(t, dedupSettings(t, url))
	if got := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(got) != 200 || strings.HasSuffix(got, "0\r\n\r\n") {
		t.Errorf("the caller got %.100q … %.30q", got, got[max(0, len(got)-30):])
	}
	s.inFlight(t, 0)
}

func TestOtherMethodsOnADeduplicatedPath(t *testing.T) {
	var got []string
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(okBody)))
		_, _ = io.WriteString(w, okBody)
	})
	s := newShim(t, dedupSettings(t, url))
	head := raw(t, s.addr, request("HEAD", "/openApi/saveJob", ""))
	if statusOf(head) != 200 || bodyOf(head) != "" || len(lines(head, "Content-Length")) != 1 || lines(head, "Content-Length")[0] != "Content-Length: "+strconv.Itoa(len(okBody)) {
		t.Errorf("HEAD got %q", head)
	}
	get := raw(t, s.addr, request("GET", "/openApi/saveJob", ""))
	if statusOf(get) != 200 || bodyOf(get) != okBody || decision(get) != "forwarded" {
		t.Errorf("GET got %q", get)
	}
	if post := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(post) != 200 || decision(post) != "forwarded" {
		t.Errorf("POST got %q", post)
	}
	if want := "HEAD GET POST"; strings.Join(got, " ") != want {
		t.Errorf("the server got %v, want %s", got, want)
	}
}

func TestInterimAnswersToADeduplicatedCall(t *testing.T) {
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, okBody)
	})
	s := newShim(t, dedupSettings(t, url))
	if got := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(got) != 200 || bodyOf(got) != okBody || strings.Count(got, "HTTP/1.1") != 1 {
		t.Errorf("the caller got %q", got)
	}
}

func TestEmptyAnswersToADeduplicatedCall(t *testing.T) {
	url := upstream(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s := newShim(t, dedupSettings(t, url))
	if got := raw(t, s.addr, save(saveBody(0, "a"))); statusOf(got) != 204 || bodyOf(got) != "" || len(lines(got, "Content-Length")) != 0 {
		t.Errorf("the caller got %q", got)
	}
}
