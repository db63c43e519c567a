package proxy

import (
	"fmt"
	"testing"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// A stranger under the gate does what it can before each login of a client that
// does not see the header: the client's calls are executed once all the same.
func TestAStrangerDoesNotSteerWhatIsExecuted(t *testing.T) {
	const rounds = 10
	from := func(address string) string { return "X-Forwarded-For: " + address }
	for name, c := range map[string]struct {
		client    string
		strangers []string // their addresses, or other headers
	}{
		"one token from two addresses": {from("192.0.2.1"), []string{from("198.51.100.1"), from("198.51.100.2")}},
		"without addresses":            {"X-No: address", []string{"X-No: address"}},
	} {
		t.Run(name, func(t *testing.T) {
			up := newAnyCall(t)
			settings := dedupSettings(t, up.url)
			settings.Access.Mode = access.Enforce
			if c.client != "X-No: address" {
				settings.TrustedProxies = loopback
			}
			s := newShim(t, settings)
			run := func(token, body string, header string) string {
				return raw(t, s.addr, request("POST", "/openApi/runJob", body, formLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": "+token, header))
			}
			logInRaw(t, s.addr, c.client)
			logInRaw(t, s.addr, c.client, openapi.TokenHeader+": t1")
			token := "t1"
			for i := range rounds {
				body := fmt.Sprintf("jobId=%d&appId=1", i)
				run(token, body, c.client)
				for _, stranger := range c.strangers {
					run("bogus", body, stranger)
					run("bogus", "jobId=99&appId=1", stranger)
					run("", body, stranger)
				}
				logInRaw(t, s.addr, c.client)
				token = fmt.Sprintf("t%d", i+3)
				if again := run(token, body, c.client); decision(again) != "replayed" {
					t.Errorf("round %d: the re-send got %q", i, again)
				}
			}
			up.wants(t, "POST runJob", rounds)
		})
	}
}
