package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
)

// authStub stands directly in front of the real 4.3.9 server and answers the
// one call which that server lacks, authApp; all else passes. So it is what a
// 5.1.0 server with its check off is to a 5.1.0 client. It counts what it lets
// through.
type authStub struct {
	app     realApp
	address string
	handler http.Handler // what answers there

	mu       sync.Mutex // protects received
	received map[string]int
}

// startAuthStub logs clients in to one app, whatever they say.
func startAuthStub(t testing.TB, app realApp) *authStub {
	t.Helper()
	s := &authStub{app: app, received: map[string]int{}}
	server := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: app.server.address})
	server.Transport = &http.Transport{}
	pass := patient(server)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := path.Base(r.URL.Path)
		s.mu.Lock()
		s.received[call]++
		s.mu.Unlock()
		if call != "authApp" {
			pass.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		fmt.Fprintf(w, `{"success":true,"data":{"appId":%d,"token":%q,"extra":null},"message":null,"code":null}`, app.id, rand.Text())
	})
	front := httptest.NewServer(s.handler)
	t.Cleanup(front.Close)
	s.address = strings.TrimPrefix(front.URL, "http://")
	return s
}

// count is how many requests to a call went on to the server.
func (s *authStub) count(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received[call]
}
