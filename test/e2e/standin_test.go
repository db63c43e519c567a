package e2e

import (
	"strings"
	"testing"

	"powerjob-shim/internal/standin/legacy"
)

// account is an app that clients log in to.
type account struct{ name, password string }

// standInApp is the stand-in server's app.
var standInApp = account{"app1", "pw"}

// startStandIn starts a stand-in server and returns it with its address.
func startStandIn(t testing.TB, o legacy.Options) (*legacy.Server, string) {
	t.Helper()
	s := legacy.New(o)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, strings.TrimPrefix(url, "http://")
}

// job is a saveJob request that the real server accepts.
func job(name string) map[string]any {
	return map[string]any{
		"jobName": name, "jobDescription": "made by a test", "timeExpressionType": "API", "executeType": "STANDALONE",
		"processorType": "BUILT_IN", "processorInfo": "com.example.Processor", "enable": true,
	}
}
