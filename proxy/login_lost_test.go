package proxy

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/rules/openapi"
)

// brokenCaller is a connection that takes no answer.
type brokenCaller struct{ discard }

func (brokenCaller) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// OkHttp silently logs in again where the connection ends before a login's
// answer. The client has one token of the two, and sends one call again.
func TestALoginWhoseAnswerWasNotDeliveredPaysForNothing(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	raw(t, s.addr, save(saveBody(0, "a")))
	run := func(token string) string {
		return raw(t, s.addr, request("POST", "/openApi/runJob", "jobId=1&appId=1", formLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": "+token))
	}
	run("t1")
	run("t1")
	login, err := http.ReadRequest(bufio.NewReader(strings.NewReader(loginRequest("app1", "pw"))))
	if err != nil {
		t.Fatal(err)
	}
	s.ServeHTTP(&brokenCaller{discard{http.Header{}}}, login)
	issued, ok := openapi.IssuedBy([]byte(bodyOf(raw(t, s.addr, loginRequest("app1", "pw")))))
	if !ok {
		t.Fatal("no token was given out")
	}
	for _, want := range []string{"replayed", "forwarded"} {
		if got := decision(run(issued.Token)); got != want {
			t.Errorf("a call with the new token was %s, want %s", got, want)
		}
	}
	wantExecuted(t, server, "runJob", 3)
}
