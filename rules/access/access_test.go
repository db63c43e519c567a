package access

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"powerjob-shim/rules/openapi"
)

var (
	now  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	addr = netip.MustParseAddr("10.1.2.3")
	near = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	far  = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fd00::/8")}
)

func caller(change func(*Caller)) Caller {
	names := NewTokens(0)
	names.Name("default", "1", "app1")
	save, _ := openapi.Lookup("saveJob")
	c := Caller{
		Now: now, Addr: addr, Tokens: []string{"t"}, AppIDs: []string{"1"}, Call: save, Apps: openapi.Apps{Read: []byte("1"), Named: []byte("1")},
		Grant: &Grant{Group: "default", App: "1", Name: "app1", Since: now.Add(-time.Hour)},
		Names: names, Group: "default",
	}
	if change != nil {
		change(&c)
	}
	return c
}

func of(app string) openapi.Apps { return openapi.Apps{Read: []byte(app), Named: []byte(app)} }

func legacy(c *Caller) { c.Tokens, c.AppIDs, c.Grant = nil, nil, nil }

func TestTheFirstThingThatIsWrongIsTheReason(t *testing.T) {
	query, _ := openapi.Lookup("queryJob")
	status, _ := openapi.Lookup("fetchInstanceStatus")
	for _, c := range []struct {
		name   string
		policy Policy
		change func(*Caller)
		want   Reason
	}{
		{"nothing", Policy{}, nil, Passed},
		{"nothing, with lists", Policy{Addrs: near, Apps: []string{"app1"}}, nil, Passed},
		{"nothing, listed by id", Policy{Apps: []string{"2", "1"}}, nil, Passed},
		{"the address before the token", Policy{Addrs: far}, legacy, Address},
		{"an address that is not known", Policy{Addrs: near}, func(c *Caller) { c.Addr = netip.Addr{} }, Address},
		{"the app", Policy{Apps: []string{"app2"}}, nil, AppNotAllowed},
		{"an app named like another's id", Policy{Apps: []string{"2"}}, func(c *Caller) { c.Grant.Name = "2" }, AppNotAllowed},
		{"the token's age", Policy{TokenTTL: time.Hour}, nil, ExpiredToken},
		{"the token's own end", Policy{}, func(c *Caller) { c.Grant.Until = now }, ExpiredToken},
		{"not yet the token's age", Policy{TokenTTL: time.Hour + 1}, nil, Passed},
		{"another app's token", Policy{}, func(c *Caller) { c.Grant.App = "2" }, OtherApp},
		{"another app in the call", Policy{}, func(c *Caller) { c.Apps = of("2") }, OtherApp},
		{"no app in the call", Policy{}, func(c *Caller) { c.Apps = openapi.Apps{} }, Passed},
		{"another app in the call, where no server reads it", Policy{}, func(c *Caller) { c.Apps.Read, c.Apps.Named = nil, []byte("2") }, OtherApp},
		{"the app in a query, where no server reads it", Policy{}, func(c *Caller) { c.Apps.Read, c.Call = nil, query }, OtherApp},
		{"the app in a query without a token, where no server reads it", Policy{LegacyApps: []string{"app1"}}, func(c *Caller) { legacy(c); c.Apps.Read, c.Call = nil, query }, LegacyClient},
		{"another app without a token, where no server reads it", Policy{LegacyApps: []string{"app1"}}, func(c *Caller) { legacy(c); c.Apps.Read, c.Apps.Named = nil, []byte("2") }, LegacyClient},
		{"no app in a query", Policy{}, func(c *Caller) { c.Apps, c.Call = openapi.Apps{}, query }, OtherApp},
		{"several apps in the call", Policy{}, func(c *Caller) { c.AppsErr = openapi.ErrSeveralApps }, OtherApp},
		{"an unreadable call", Policy{}, func(c *Caller) { c.AppsErr = openapi.ErrUnreadable }, Unreadable},
		{"an unknown token before an unreadable call", Policy{}, func(c *Caller) { c.Grant, c.AppsErr = nil, openapi.ErrUnreadable }, UnknownToken},
		{"an unreadable call without a token", Policy{LegacyAddrs: near}, func(c *Caller) { legacy(c); c.AppsErr = openapi.ErrUnreadable }, Unreadable},
		{"no token, query for all", Policy{LegacyApps: []string{"app1"}}, func(c *Caller) { legacy(c); c.Apps, c.Call = openapi.Apps{}, query }, LegacyClient},
		{"no token, a read by id", Policy{LegacyAddrs: near, LegacyApps: []string{"app1"}}, func(c *Caller) { legacy(c); c.Apps, c.Call = openapi.Apps{}, status }, Passed},
		{"no token, a read by id, from anywhere", Policy{LegacyApps: []string{"app1"}}, func(c *Caller) { legacy(c); c.Apps, c.Call = openapi.Apps{}, status }, LegacyClient},
		{"no token, an app of no known name", Policy{LegacyApps: []string{"app2"}}, func(c *Caller) { legacy(c); c.Apps = of("2") }, LegacyClient},
		{"no token, allowed, and narrowed", Policy{LegacyAddrs: near, Apps: []string{"2"}}, legacy, AppNotAllowed},
	} {
		if got := c.policy.Judge(caller(c.change)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhoMayLogIn(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		app    string
		want   Reason
	}{
		{Policy{}, "app1", Passed},
		{Policy{Apps: []string{"app1"}}, "app1", Passed},
		{Policy{Apps: []string{"app1"}}, "app2", AppNotAllowed},
		{Policy{Apps: []string{"app1"}}, "", AppNotAllowed},
		{Policy{Apps: []string{"1"}}, "app1", Passed},
		{Policy{Apps: []string{"1"}}, "app2", AppNotAllowed},
		{Policy{Apps: []string{"7"}}, "app2", Passed}, // it may be 7's name
		{Policy{Addrs: far}, "app1", Address},
	} {
		if got := c.policy.JudgeLogin(caller(nil), c.app, nil); got != c.want {
			t.Errorf("%+v, %s: %q, want %q", c.policy, c.app, got, c.want)
		}
	}
}

func TestBlockedPaths(t *testing.T) {
	p := Policy{Block: []string{"/user/list", "/test/*", "/"}}
	for _, c := range []struct {
		path, context string
		ambiguous     bool
		want          bool
	}{
		{"/user/list", "", false, true},
		{"/user/list/x", "", false, false},
		{"/user/listing", "", false, false},
		{"/x/user/list", "", false, false},
		{"/x/user/list", "/x", false, true},
		{"/xuser/list", "/x", false, false},
		{"/user/list", "/x", false, true},
		{"/test", "", false, true},
		{"/test/a/b", "", false, true},
		{"/tests", "", false, false},
		{"/", "", false, true},
		{"//anything", "", true, true},
	} {
		if got := p.Blocks(c.path, c.context, c.ambiguous); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if (&Policy{}).Blocks("//anything", "", true) {
		t.Error("a policy that blocks nothing blocks an ambiguous path")
	}
}

func token(n int) Token { return Fingerprint(fmt.Sprint(n)) }

func TestTheTokenThatWasNotUsedForLongestGoesFirst(t *testing.T) {
	tokens := NewTokens(3)
	for n := range 3 {
		tokens.Add(token(n), Grant{Group: "g", App: fmt.Sprint(n)})
	}
	if tokens.Find(token(0), "g", nil) == nil { // used
		t.Fatal("token 0 is not known")
	}
	tokens.Add(token(3), Grant{Group: "g"})
	for n, want := range []bool{true, false, true, true} {
		if got := tokens.Find(token(n), "g", nil) != nil; got != want {
			t.Errorf("token %d is known: %v", n, got)
		}
	}
	if len(tokens.known) != 3 || tokens.all.Len() != 3 || tokens.grants.Len() != 3 {
		t.Errorf("it has %d, %d and %d entries, want 3", len(tokens.known), tokens.all.Len(), tokens.grants.Len())
	}
}

// Whatever is added and used in whatever order, those are known that were used
// last, each for what it stood for when it was added last.
func TestTokensAreThoseUsedLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 5
		tokens, now := NewTokens(limit), time.Now()
		var want []Grant // the last used at the end; App names the token
		at := func(app string) int { return slices.IndexFunc(want, func(g Grant) bool { return g.App == app }) }
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			n := rapid.IntRange(0, 2*limit).Draw(t, "token")
			g := Grant{Group: "g", App: fmt.Sprint(n), Since: now.Add(time.Duration(rapid.IntRange(-9, 9).Draw(t, "since")) * time.Hour)}
			if rapid.Bool().Draw(t, "ends") {
				g.Until = g.Since.Add(time.Hour)
			}
			i := at(g.App)
			if rapid.Bool().Draw(t, "add") {
				tokens.Add(token(n), g)
			} else {
				got := tokens.Find(token(n), "g", nil)
				if (got != nil) != (i >= 0) {
					t.Fatalf("token %d: got %v", n, got)
				}
				if got == nil {
					continue
				}
				if g = want[i]; got.App != g.App || !got.Since.Equal(g.Since) || !got.Until.Equal(g.Until) {
					t.Fatalf("token %d: got %+v, want %+v", n, got, g)
				}
			}
			if i >= 0 {
				want = slices.Delete(want, i, i+1)
			}
			if want = append(want, g); len(want) > limit {
				want = want[1:]
			}
		}
		if len(tokens.known) != len(want) || tokens.all.Len() != len(want) || tokens.grants.Len() != len(want) {
			t.Fatalf("it has %d, %d and %d entries, want %d", len(tokens.known), tokens.all.Len(), tokens.grants.Len(), len(want))
		}
	})
}

func TestATokenCountsInItsGroupAndForItsIssuerOnly(t *testing.T) {
	tokens, issuer := NewTokens(0), NewIssuer("g", IssuerSettings{})
	tokens.Add(token(1), Grant{Group: "g", App: "1"})
	tokens.Add(token(2), Grant{Group: "g", App: "1", Issuer: issuer})
	tokens.Add(Token{}, Grant{Group: "g", App: "1"})
	if tokens.Find(token(1), "h", nil) != nil || tokens.Find(token(1), "g", issuer) != nil || tokens.Find(token(2), "g", nil) != nil {
		t.Error("a token is found where it does not count")
	}
	if tokens.Find(token(1), "g", nil) == nil || tokens.Find(token(2), "g", issuer) == nil {
		t.Error("a token is not found where it counts")
	}
	if tokens.Find(Token{}, "g", nil) != nil {
		t.Error("no token at all is found")
	}
	tokens.Add(token(1), Grant{Group: "g", App: "5"})
	if g := tokens.Find(token(1), "g", nil); g == nil || g.App != "5" {
		t.Errorf("after adding it again it stands for %+v", g)
	}
}

func TestNamesAreBounded(t *testing.T) {
	tokens := NewTokens(0)
	for n := range maxNames + 5 {
		tokens.Name("g", fmt.Sprint(n), "name")
	}
	if len(tokens.names) != maxNames {
		t.Errorf("%d names are kept", len(tokens.names))
	}
	tokens.Name("g", "0", "renamed")
	tokens.Name("g", "0", "")
	if got := tokens.NameOf("g", "0"); got != "renamed" {
		t.Errorf("the name is %q", got)
	}
}
