// Package bothservers runs tests that write to a socket a second time, with net/http's
// server for all callers. net/http is the oracle for proxy/listen/plain, which serves
// plain calls otherwise.
//
//	func TestRawSocketsAgainWithNetHTTPAlone(t *testing.T) { bothservers.Again(t, 100, slow) }
//
// The tests ask [Alone] whether to switch plain calls off.
package bothservers

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// If callersEnv is set to netHTTP, net/http's server serves plain calls too. Every
// test must have the same outcome.
const (
	callersEnv = "POWERJOB_SHIM_TEST_CALLERS"
	netHTTP    = "net/http"
)

// Alone reports whether net/http's server must serve all callers.
func Alone() bool { return os.Getenv(callersEnv) == netHTTP }

// Again runs the tests of the package in the current directory that write to a socket,
// except those whose name slow matches, with only net/http's server. It fails if there
// are fewer than atLeast. In that second run it is skipped.
func Again(t *testing.T, atLeast int, slow *regexp.Regexp) {
	t.Helper()
	if Alone() {
		t.Skip("this is that run")
	}
	tests := rawTests(t, slow)
	if len(tests) < atLeast {
		t.Fatalf("only %d tests write to a socket themselves", len(tests))
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^("+strings.Join(tests, "|")+")$") //nolint:gosec // this program
	again.Env = append(os.Environ(), callersEnv+"="+netHTTP)
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var (
	testFunc = regexp.MustCompile(`(?ms)^func (Test\w+)\(t \*testing\.T\) \{\n(.*?)^\}`)
	writes   = regexp.MustCompile(`\b(raw|rawTLS|dial|dialTLS|async|leave)\(t,`)
)

// rawTests returns the tests that write to a socket, without slow ones.
func rawTests(t *testing.T, slow *regexp.Regexp) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file) //nolint:gosec // a test of this package
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range testFunc.FindAllSubmatch(source, -1) {
			if name := string(f[1]); writes.Match(f[2]) && !slow.MatchString(name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
