package proxy

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

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
