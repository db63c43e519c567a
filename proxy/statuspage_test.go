package proxy

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"powerjob-shim/internal/standin/legacy"
)

// What each setting of the admin listener shows to somebody without a token.
func TestThePageIsForThisMachineOrForTheToken(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newShim(t, settingsFor(t, newRawServer(t, "").url))
	for _, c := range []struct {
		name    string
		options AdminOptions
		host    string
		bearer  string
		want    map[string]int
	}{
		{"loopback", AdminOptions{Local: true}, "127.0.0.1:9700", "", map[string]int{"/": 200, "/status": 200, "/metrics": 200, "/healthz": 200, "/readyz": 200, "/nothing": 404}},
		{"loopback by name", AdminOptions{Local: true}, "localhost:9700", "", map[string]int{"/": 200}},
		{"loopback IPv6", AdminOptions{Local: true}, "[::1]:9700", "", map[string]int{"/": 200}},
		{"a web site's name for it", AdminOptions{Local: true}, "evil.example", "", map[string]int{"/": 403}},
		{"the network", AdminOptions{}, "10.0.0.7:9700", "", map[string]int{"/": 403, "/status": 200, "/metrics": 200, "/healthz": 200, "/readyz": 200}},
		{"without the token", AdminOptions{TokenFile: token}, "shim.example", "", map[string]int{"/": 401, "/status": 401, "/metrics": 401, "/healthz": 200, "/readyz": 200, "/nothing": 401}},
		{"with the token", AdminOptions{TokenFile: token}, "shim.example", "s3cret", map[string]int{"/": 200, "/status": 200, "/metrics": 200, "/healthz": 200, "/readyz": 200}},
		{"profiles need it too", AdminOptions{TokenFile: token, Pprof: true}, "shim.example", "", map[string]int{"/debug/pprof/": 401}},
	} {
		c.options.Gatherer = prometheus.NewRegistry()
		h := s.Admin(c.options)
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
		if got := loopbackOnly(address); got != want {
			t.Errorf("%q: %t", address, got)
		}
	}
}

// A dropped call is on the page, without its token and its body.
func TestADroppedCallIsOnThePage(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	<-async(t, s.addr, save(saveBody(0, "a new job"))) // job 1
	for range 2 {
		<-async(t, s.addr, saveWith("a-token-of-a-client", saveBody(1, "a name in a body")))
	}
	wantExecuted(t, server, "saveJob", 2)
	code, page := s.ask(t, "/?lang=en")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, page)
	}
	for _, want := range []string{`data-name="Call">saveJob<`, `data-name="App">1<`, `data-name="Subject">job 1<`, `data-name="Decision">replayed<`,
		`data-name="Reason">equal body within the window<`, `data-name="Client">127.0.0.1<`, "<b>2</b>", "<b>1</b>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if !regexp.MustCompile(`data-name="After the first" class="num">[0-9.]+m?s<`).MatchString(page) {
		t.Error("the page does not tell how long after the first it came")
	}
	for _, secret := range []string{"a-token-of-a-client", "a name in a body"} {
		if strings.Contains(page, secret) {
			t.Errorf("the page shows %q", secret)
		}
	}
}
