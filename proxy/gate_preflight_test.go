package proxy

import (
	"net/http"
	"sync/atomic"
	"testing"
)

// A browser asks without a token whether it may send one.
func TestAPreflightPassesTheGate(t *testing.T) {
	var asked atomic.Int64
	settings := dedupSettings(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	}))
	settings.Access = enforce
	s := newShim(t, settings)
	for i, c := range []struct {
		method  string
		headers []string
		passes  bool
	}{
		{"OPTIONS", []string{"Origin: https://a.example", "Access-Control-Request-Method: POST"}, true},
		{"OPTIONS", []string{"Origin: https://a.example"}, false},
		{"POST", []string{"Origin: https://a.example", "Access-Control-Request-Method: POST"}, false},
	} {
		before := asked.Load()
		answer := raw(t, s.addr, request(c.method, "/openApi/saveJob", "", c.headers...))
		if passed := asked.Load() > before; passed != c.passes || passed != (len(lines(answer, "Access-Control-Allow-Methods")) == 1) {
			t.Errorf("case %d passed: %v\n%s", i, passed, answer)
		}
	}
}
