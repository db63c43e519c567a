// Package admin is the admin listener: metrics, health, readiness, status for people
// and programs, what it remembers of the last hour, and the token that protects it.
//
//	calls := recent.New()
//	recent.Decided(time.Now(), rules.Replayed)  // on every call under a dedup rule
//	handler := admin.Handler(admin.Options{View: view, Recent: calls, TokenFile: "/run/secrets/admin-token"})
//	server := admin.NewServer(handler, errorLog)
//
// It knows nothing of the proxy, which tells it what happens and is asked for its
// state: see [View].
package admin
