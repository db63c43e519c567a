// Package access decides who may call what is under /openApi/: the check that
// PowerJob servers before 5.1.0 do not make, and later ones only if
// oms.auth.openapi.enable is set.
//
// The simple way is a Policy with a table of tokens:
//
//	tokens := access.NewTokens(0)
//	tokens.Add(fingerprint, access.Grant{Group: "default", App: "1", Name: "app1", Since: now}) // at a login
//	reason := policy.Judge(access.Caller{...})                                                  // at a call
//
// For servers without authApp, an Issuer gives out and verifies tokens of the
// shim's own.
//
// Nothing here does any I/O. Facts are from PowerJob's sources, tag v5.1.1
// (OpenApiInterceptor, OpenApiSecurityServiceImpl, ErrorCodes).
package access

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"powerjob-shim/rules/openapi"
)

// Mode says what happens to a call that the policy does not let pass.
type Mode uint8

// The modes.
const (
	Off     Mode = iota // calls are not looked at
	Observe             // the call is counted, and passes
	Enforce             // the call is refused
)

// Policy says who may call. It never changes and is safe for concurrent use.
// The zero value lets everything pass.
//
// An entry of LegacyApps or Apps is an app's name or, if it has only digits, its id.
// An id counts at once, a name from the first login that tells the id of that app.
type Policy struct {
	Mode Mode
	// TokenTTL is how long a token counts after its login; 0: 168 h, as on a
	// real server.
	TokenTTL time.Duration

	// LegacyAddrs and LegacyApps let calls without a token pass, as 4.x clients
	// make them. Both must match; an empty one matches all; with both empty
	// no such call passes.
	LegacyAddrs []netip.Prefix
	LegacyApps  []string

	// Addrs and Apps narrow who may call at all, logins included. Empty: all.
	Addrs []netip.Prefix
	Apps  []string

	// Block has paths that nobody may call, whatever the Mode; a path that ends
	// in * is a prefix, any other is exact. See Blocks.
	Block []string
}

// DefaultTTL is how long a real server's token lives (JwtServiceImpl).
const DefaultTTL = 7 * 24 * time.Hour

func (p *Policy) ttl() time.Duration {
	if p.TokenTTL <= 0 {
		return DefaultTTL
	}
	return p.TokenTTL
}

// Caller is what a call says about its caller.
type Caller struct {
	Now  time.Time
	Addr netip.Addr // the client's own; invalid: not known

	Tokens []string // all values of the token header
	AppIDs []string // all values of the app id header
	Grant  *Grant   // of its token; nil: the token is not known

	Call *openapi.Call // nil: under /openApi/, but not in the catalogue
	// Apps are the app ids in its query and body, and AppsErr why they cannot be
	// read; see openapi.Call.AppsOf.
	Apps    openapi.Apps
	AppsErr error

	// Names has the names of Group's apps by their ids.
	Names *Tokens
	Group string
}

// JudgeUnread is Judge and JudgeLogin as far as they need no body: nobody may call
// from this address, or without a token from there, or for the token's
// app. Passed says that the body must be read.
func (p *Policy) JudgeUnread(c Caller) Reason {
	login := c.Call != nil && c.Call.Kind == openapi.Login
	switch {
	case len(p.Addrs) > 0 && !Within(p.Addrs, c.Addr):
		return Address
	case login:
		return Passed
	case len(c.Tokens) == 0 && len(c.AppIDs) == 0 && !p.mayBeLegacy(c):
		return LegacyClient
	case c.Grant != nil && !p.allows(c.Grant.App, c.Grant.Name):
		return AppNotAllowed
	}
	return Passed
}

// JudgeClaims judges a call by Addrs and Apps alone, and by every app that it
// names: where the gate only observes, its token proves nothing. A call that
// names no app passes.
func (p *Policy) JudgeClaims(c Caller) Reason {
	if len(p.Addrs) > 0 && !Within(p.Addrs, c.Addr) {
		return Address
	}
	if len(p.Apps) == 0 {
		return Passed
	}
	claimed := slices.Clone(c.AppIDs)
	if c.Apps.Named != nil {
		claimed = append(claimed, string(c.Apps.Named))
	}
	if c.AppsErr != nil || slices.ContainsFunc(claimed, func(id string) bool {
		return !p.allows(id, c.Names.NameOf(c.Group, id))
	}) {
		return AppNotAllowed
	}
	return Passed
}

// allows reports whether calls for an app are allowed at all.
func (p *Policy) allows(id, name string) bool { return len(p.Apps) == 0 || lists(p.Apps, id, name) }

// Judge returns why a call may not pass; Passed: it may. It ignores p.Mode.
// JudgeLogin judges logins.
func (p *Policy) Judge(c Caller) Reason {
	if len(p.Addrs) > 0 && !Within(p.Addrs, c.Addr) {
		return Address
	}
	if len(c.Tokens) == 0 && len(c.AppIDs) == 0 {
		return p.judgeLegacy(c)
	}
	switch {
	case len(c.AppIDs) == 0 || c.AppIDs[0] == "":
		return NoAppID
	case len(c.Tokens) == 0 || c.Tokens[0] == "":
		return NoToken
	case len(c.Tokens) > 1 || c.Grant == nil:
		return UnknownToken
	case c.Grant.over(c.Now, p.ttl()):
		return ExpiredToken
	case len(c.AppIDs) > 1 || c.AppIDs[0] != c.Grant.App:
		return OtherApp
	}
	if reason := c.names(c.Grant.App); reason != Passed {
		return reason
	}
	if !p.allows(c.Grant.App, c.Grant.Name) {
		return AppNotAllowed
	}
	return Passed
}

// JudgeLogin is Judge for a login to the app of a name; unread says why the name
// could not be read. While the name of a listed id is not known, any app may log in, as
// it may be that one.
func (p *Policy) JudgeLogin(c Caller, app string, unread error) Reason {
	if len(p.Addrs) > 0 && !Within(p.Addrs, c.Addr) {
		return Address
	}
	if unread != nil {
		return Unreadable
	}
	if len(p.Apps) > 0 && !slices.ContainsFunc(p.Apps, func(a string) bool {
		if !isID(a) {
			return a == app
		}
		name := c.Names.NameOf(c.Group, a)
		return name == "" || name == app
	}) {
		return AppNotAllowed
	}
	return Passed
}

// names judges the app ids in query and body: only own may be there. A server
// answers a query without an app for all apps.
func (c *Caller) names(own string) Reason {
	switch {
	case c.AppsErr == openapi.ErrSeveralApps: //nolint:errorlint // never wrapped
		return OtherApp
	case c.AppsErr != nil:
		return Unreadable
	case c.Apps.Read == nil && c.listsThings():
		return OtherApp
	case c.Apps.Named != nil && string(c.Apps.Named) != own:
		return OtherApp
	}
	return Passed
}

// listsThings reports whether the call is a query for a list.
func (c *Caller) listsThings() bool {
	return c.Call != nil && c.Call.Kind == openapi.Read && c.Call.Body == openapi.JSON
}

// readsOne reports whether the call reads a thing by its id.
func (c *Caller) readsOne() bool {
	return c.Call != nil && c.Call.Kind == openapi.Read && c.Call.Body == openapi.Form
}

// Within reports whether one of the prefixes contains addr. None contains an invalid
// address.
func Within(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// lists reports whether apps has an app by its id or name.
func lists(apps []string, id, name string) bool {
	return id != "" && slices.ContainsFunc(apps, func(a string) bool {
		return a == id || a == name && !isID(a)
	})
}

// isID reports whether an entry of a list of apps is an id.
func isID(entry string) bool {
	return entry != "" && strings.Trim(entry, "0123456789") == ""
}

// Blocks reports whether nobody may call path, which is as openapi.RoutePath
// returns it. context is the servers' context path ("/x"; "": none): a path
// under it counts with and without it. ambiguous says that RoutePath could not
// tell how a server reads the path; then it is blocked if Block has any path.
func (p *Policy) Blocks(path, context string, ambiguous bool) bool {
	if len(p.Block) == 0 {
		return false
	}
	if ambiguous {
		return true
	}
	inner, ok := strings.CutPrefix(path, context)
	return p.listed(path) || ok && p.listed(inner)
}

func (p *Policy) listed(path string) bool {
	return slices.ContainsFunc(p.Block, func(b string) bool {
		if prefix, ok := strings.CutSuffix(b, "*"); ok {
			return strings.HasPrefix(path, prefix) || path+"/" == prefix
		}
		return path == b || path == strings.TrimSuffix(b, "/")
	})
}
