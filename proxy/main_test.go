package proxy

import (
	"os"
	"testing"

	"powerjob-shim/internal/leaks"
)

// With POWERJOB_SHIM_TEST_CALLERS=listen in the environment, plain calls are served
// without net/http's server: every test must have the same outcome.
func TestMain(m *testing.M) {
	servesPlainCalls = os.Getenv("POWERJOB_SHIM_TEST_CALLERS") == "listen"
	leaks.Main(m)
}
