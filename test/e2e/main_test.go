package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"powerjob-shim/internal/shimtest"
)

// patience bounds what should happen soon, on a machine with little to spare.
const patience = 60 * time.Second

// scratch is a directory for what all tests of a run share.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "powerjob-shim-e2e"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a leftover in the temporary directory hurts nobody
	defer stopRealServer()
	defer stopCluster()
	return shimtest.Main(m)
}

// need skips the test unless these programs are there; under CI=true they must
// be. It returns their paths.
func need(t testing.TB, programs ...string) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real parts")
	}
	var paths []string
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil { // Debian keeps servers where only root's PATH looks
			path, err = exec.LookPath(filepath.Join("/usr/sbin", p))
		}
		if err != nil {
			missing(t, "%s is not installed", p)
		}
		paths = append(paths, path)
	}
	return paths
}

// missing ends a test for want of a part.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// fileWith makes a file with this text, for as long as the test runs.
func fileWith(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
