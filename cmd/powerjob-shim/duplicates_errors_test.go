package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/standin/legacy"
)

// closing closes the connection on calls, and answers other requests with root; "": it
// closes on all requests.
func closing(t *testing.T, root string) string {
	t.Helper()
	return raw(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err == nil && !strings.HasPrefix(r.URL.Path, "/openApi/") {
			_, _ = io.WriteString(c, root)
		}
	})
}

func TestDuplicatesSaysWhatIsWrong(t *testing.T) {
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://other/")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	inList := func(data string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/openApi/authApp" {
				fmt.Fprint(w, `{"success":true,"data":{"appId":1,"token":"t"}}`)
				return
			}
			fmt.Fprint(w, data)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	_, server := startServer(t, legacy.Options{})
	_, old := startServer(t, legacy.Options{Mode: legacy.NoAuthApp})
	_, slow := startServer(t, legacy.Options{Delay: time.Minute})
	secure := httptest.NewTLSServer(legacy.New(legacy.Options{}))
	t.Cleanup(secure.Close)
	app1 := []string{"--app", "app1", "--password-env", "PASSWORD"}
	file := writeFile(t, filepath.Join(t.TempDir(), "password"), "pw\n")
	for name, c := range map[string]struct {
		code int
		args []string
		want string
	}{
		"no app":               {2, []string{server, "--password-env", "PASSWORD"}, `required flag(s) "app" not set`},
		"no password":          {2, []string{server, "--app", "app1"}, "at least one of the flags in the group [password-file password-env] is required"},
		"no such file":         {1, []string{server, "--app", "app1", "--password-file", file + "x"}, "no such file"},
		"no such variable":     {1, []string{server, "--app", "app1", "--password-env", "X"}, "there is no environment variable X"},
		"both ways":            {2, append([]string{server, "--disable", "--delete"}, app1...), "[disable delete]"},
		"no time":              {2, append([]string{server, "--within", "0s"}, app1...), "--within is 0s"},
		"no patience":          {2, append([]string{server, "--timeout", "-1s"}, app1...), "--timeout is -1s"},
		"an odd format":        {2, append([]string{server, "--format", "xml"}, app1...), `--format is "xml"`},
		"JSON cannot ask":      {2, append([]string{server, "--format", "json", "--delete"}, app1...), "add --yes"},
		"no URL":               {2, append([]string{"ftp://x"}, app1...), "write the server's address"},
		"silence":              {1, append([]string{slow, "--timeout", "50ms"}, app1...), "no answer in time; --timeout gives it more"},
		"an unknown authority": {1, append([]string{secure.URL}, app1...), "; --insecure does not check"},
		"nobody":               {1, append([]string{closedPort(t)}, app1...), "connection refused"},
		"a shim whose server is down": {1, append([]string{shimIn(t, startInProcess, "http://"+closedPort(t))}, app1...),
			`closed without an answer: a shim whose server is down, or nothing; it is a shim, and says "powerjob-shim: cannot reach the PowerJob server`},
		"a closed connection": {1, append([]string{closing(t, "")}, app1...), "closed without an answer: a shim whose server is down, or nothing; / has no answer either"},
		"a closed path":       {1, append([]string{closing(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")}, app1...), "or nothing; / is answered with 200 OK"},
		"a wrong password":    {1, []string{server, "--app", "app1", "--password-env", "WRONG"}, `logging in to app "app1": the server says "INCORRECT_PASSWORD"; check the name and the password`},
		"an unknown app":      {1, []string{server, "--app", "nope", "--password-env", "PASSWORD"}, `the server says "INVALID_APP:nope"`},
		"the same, 4.x":       {1, []string{old, "--app", "app1", "--password-env", "WRONG"}, "INCORRECT_PASSWORD"},
		"a wrong path":        {1, append([]string{server + "/y"}, app1...), "is its context path in the URL"},
		"a page":              {1, append([]string{answer(200, "<html>hello")}, app1...), `this is not PowerJob's answer: "<html>hello"`},
		"a redirect":          {1, append([]string{answer(302, "")}, app1...), `redirects to "https://other/"`},
		"a gateway":           {1, append([]string{answer(502, "oh")}, app1...), `502 Bad Gateway without PowerJob's envelope: "oh"`},
		"a shim's 502":        {1, append([]string{answer(502, `{"success":false,"message":"powerjob-shim: no"}`)}, app1...), `logging in: the server says "powerjob-shim: no"`},
		"a login of nothing":  {1, append([]string{answer(200, `{"success":true,"data":{}}`)}, app1...), "names no app id"},
		"what is not a list":  {1, append([]string{inList(`{"success":true,"data":7}`)}, app1...), "listing the jobs: reading the answer"},
		"a list without time": {1, append([]string{inList(`{"success":true,"data":[{"id":7}]}`)}, app1...), "job 7: gmtCreate"},
	} {
		code, stdout, stderr := execute([]string{"PASSWORD=pw", "WRONG=wp"}, append([]string{"duplicates"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d, %q, %q; want %q", name, code, stdout, stderr, c.want)
		}
	}
	if code, _, stderr := execute([]string{"PASSWORD=pw"}, append([]string{"duplicates", closedPort(t) + "," + strings.TrimPrefix(server, "http://")}, app1...)...); code != 0 {
		t.Errorf("with a list whose first server is down: %d, %s", code, stderr)
	}
	if code, _, stderr := asApp1(secure.URL, "--insecure"); code != 0 {
		t.Errorf("with --insecure: %d, %s", code, stderr)
	}
	if code, _, stderr := execute(nil, "duplicates", server, "--app", "app1", "--password-file", file); code != 0 {
		t.Errorf("with a password file: %d, %s", code, stderr)
	}
}

func TestThePasswordInPlainTextGoesToPowerJobOnly(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.URL.Path+" "+string(body))
		if r.URL.Path == "/openApi/authApp" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	code, _, stderr := asApp1(s.URL)
	if code != 1 || len(got) != 2 || got[1] != "/openApi/assert appName=app1&password=" {
		t.Errorf("%d, %s: the server got %q", code, stderr, got)
	}
}
