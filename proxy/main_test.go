package proxy

import (
	"os"
	"testing"

	"powerjob-shim/internal/leaks"
)

// With POWERJOB_SHIM_TEST_CALLERS=net/http in the environment, no connection is
// served without net/http's server: every test must have the same outcome.
func TestMain(m *testing.M) {
	netHTTPServesAll = os.Getenv("POWERJOB_SHIM_TEST_CALLERS") == "net/http"
	leaks.Main(m)
}
