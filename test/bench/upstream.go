package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// upstream is a stand-in server without the header. It answers at once, and counts how
// often it has executed each numbered call.
type upstream struct {
	address string

	mu       sync.Mutex
	executed map[int]int // guarded by mu
	tokens   int         // guarded by mu
}

func startUpstream() (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{address: l.Addr().String(), executed: map[int]int{}}
	srv := &http.Server{Handler: u, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }() // until the process ends
	return u, nil
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	switch r.URL.Path {
	case "/openApi/authApp":
		u.mu.Lock()
		u.tokens++
		n := u.tokens
		u.mu.Unlock()
		fmt.Fprintf(w, `{"success":true,"data":{"appId":1,"token":"issued-%09d"},"message":null}`, n)
	case "/openApi/saveJob":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		n := numberOf(body)
		u.mu.Lock()
		u.executed[n]++
		u.mu.Unlock()
		_, _ = w.Write(answerFor(n))
	case "/openApi/fetchJob":
		_, _ = w.Write(answerFor(1))
	default: // an upload
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"success":true,"data":%d,"message":null}`, n)
	}
}

// answerFor returns the answer to call n, of 100 bytes.
func answerFor(n int) []byte {
	a := fmt.Appendf(nil, `{"success":true,"data":%d,"message":"`, n)
	for len(a) < 98 {
		a = append(a, '.')
	}
	return append(a, '"', '}')
}

// times returns how often each call was executed since the last times.
func (u *upstream) times() map[int]int {
	u.mu.Lock()
	defer u.mu.Unlock()
	got := u.executed
	u.executed = map[int]int{}
	return got
}

const numberField = `"jobName":"`

// saveBody returns the body of a saveJob, of 1 KiB, with the number n in it.
func saveBody(n int) []byte {
	b := fmt.Appendf(nil, `{"id":null,"appId":1,%s%012d","jobParams":"`, numberField, n)
	for len(b) < 1022 {
		b = append(b, byte('a'+len(b)%26))
	}
	return append(b, '"', '}')
}

func numberOf(body []byte) int {
	_, rest, ok := bytes.Cut(body, []byte(numberField))
	if !ok || len(rest) < 12 {
		return -1
	}
	n, err := strconv.Atoi(string(rest[:12]))
	if err != nil {
		return -1
	}
	return n
}
