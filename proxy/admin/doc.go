// Package admin is what the admin listener shows to people: the status page,
// what it remembers of the last hour, and the token that protects both.
//
//	recent := admin.NewRecent()
//	recent.Decided(time.Now(), rules.Replayed)  // on every call
//	page := admin.Page(recent, func(context.Context) admin.State { ... })
//	handler := admin.Guard(page, "/run/secrets/admin-token")
//
// It knows nothing of the proxy: that tells it what happens, and is asked for
// its state by a function.
package admin
