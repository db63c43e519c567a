package admin

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"powerjob-shim/proxy/admin/recent"

	"github.com/prometheus/client_golang/prometheus"
)

// What each setting of the admin listener shows to somebody without a token.
func TestThePageIsForThisMachineOrForTheToken(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options Options
		host    string
		bearer  string
		want    map[string]int
	}{
		{"loopback", Options{Local: true}, "127.0.0.1:9700", "", map[string]int{"/": 200, "/status": 200, "/metrics": 200, "/healthz": 200, "/readyz": 200, "/nothing": 404}},
		{"loopback by name", Options{Local: true}, "localhost:9700", "", map[string]int{"/": 200}},
		{"loopback IPv6", Options{Local: true}, "[::1]:9700", "", map[string]int{"/": 200}},
		{"a web site's name for it", Options{Local: true}, "evil.example", "", map[string]int{"/": 403}},
		{"the network", Options{}, "10.0.0.7:9700", "", map[string]int{"/": 403, "/status": 200, "/metrics": 200, "/healthz": 200, "/readyz": 200}},
		{"without the token", Options{TokenFile: token}, "shim.example", "", map[string]int{"/": 401, "/status": 401, "/metrics": 401, "/healthz": 200, "/readyz": 200, "/nothing": 401}},
		{"with the token", Options{TokenFile: token}, "shim.example", "s3cret", map[string]int{"/": 200, "/status": 200, "/metrics": 200, "/healthz": 200, "/readyz": 200}},
		{"profiles need it too", Options{TokenFile: token, Pprof: true}, "shim.example", "", map[string]int{"/debug/pprof/": 401}},
	} {
		c.options.Gatherer, c.options.View, c.options.Recent = prometheus.NewRegistry(), seen(fakeView{}), recent.New()
		h := Handler(c.options)
		for path, want := range c.want {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = c.host
			if c.bearer != "" {
				r.Header.Set("Authorization", "Bearer "+c.bearer)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s: %s says %d, want %d: %s", c.name, path, w.Code, want, w.Body)
			}
		}
	}
}

func TestWhatIsALoopbackAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:9700": true, "127.8.8.8:1": true, "[::1]:9700": true, "localhost:9700": true,
		":9700": false, "0.0.0.0:9700": false, "[::]:9700": false, "10.0.0.7:9700": false, "shim.example:9700": false, "": false,
	} {
		if got := IsLocal(address); got != want {
			t.Errorf("%q: %t", address, got)
		}
	}
}
