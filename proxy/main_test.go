package proxy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"powerjob-shim/internal/leaks"
)

// callersEnv, set to netHTTP, has net/http's server serve plain calls too: every
// test must have the same outcome.
const (
	callersEnv = "POWERJOB_SHIM_TEST_CALLERS"
	netHTTP    = "net/http"
)

func TestMain(m *testing.M) {
	servesPlainCalls = os.Getenv(callersEnv) != netHTTP
	leaks.Main(m)
}

// Tests that write to a socket themselves run once more, with net/http's server
// for all callers: it is the oracle for what serves plain calls here. Left out are
// those that take a second or more.
func TestRawSocketsAgainWithNetHTTPAlone(t *testing.T) {
	if os.Getenv(callersEnv) == netHTTP {
		t.Skip("this is that run")
	}
	tests := rawTests(t)
	if len(tests) < 100 {
		t.Fatalf("only %d tests write to a socket themselves", len(tests))
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^("+strings.Join(tests, "|")+")$")
	again.Env = append(os.Environ(), callersEnv+"="+netHTTP)
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var (
	testFunc = regexp.MustCompile(`(?ms)^func (Test\w+)\(t \*testing\.T\) \{\n(.*?)^\}`)
	writes   = regexp.MustCompile(`\b(raw|dial|async|leave)\(t,`)
	slow     = regexp.MustCompile(`TenThousand|Random|Reload|Rolling|Replica|Restart|UnderLoad|WhileRoutes|ThatDoNotRead|Smuggled|AnotherCaller|` +
		`RawSockets|RealServer|NeverPause|Flood|LargeBody|TakesALittle|NoStatus|Idle|TimeoutsOfItsOwn|ThatCloses|OwnAuthHeader`)
)

// rawTests returns the tests of this package that use a socket, slow ones apart.
func rawTests(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
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
