// Package admin is the admin listener. It serves metrics, health, readiness, and the
// status for people and programs, with a memory of the last hour. A token can protect it.
//
//	calls := recent.New()
//	calls.Decided(time.Now(), rules.Replayed)  // on every call under a dedup rule
//	handler := admin.Handler(admin.Options{View: view, Recent: calls, TokenFile: "/run/secrets/admin-token"})
//	server := admin.NewServer(handler, errorLog)
//
// It does not import the proxy. The proxy reports what happens, and implements [View],
// through which this package asks for its state.
package admin
