package access

import (
	"fmt"
	"testing"
	"time"
)

func TestAFloodOfOneAppsLoginsPushesOutNoOtherAppsTokens(t *testing.T) {
	const limit = 8 * fewTokens
	tokens, now := NewTokens(limit), time.Now()
	quiet := Fingerprint("quiet")
	tokens.Add(quiet, Grant{Group: "g", App: "1", Since: now})
	for i := range 3 * limit {
		tokens.Add(Fingerprint(fmt.Sprint("flood", i)), Grant{Group: "g", App: "2", Since: now})
	}
	if g := tokens.Find(quiet, "g", nil); g == nil || g.App != "1" {
		t.Errorf("the quiet app's token is %+v", g)
	}
	kept := 0
	for i := range 3 * limit {
		if tokens.Find(Fingerprint(fmt.Sprint("flood", i)), "g", nil) != nil {
			kept++
		}
	}
	if kept != limit/appsShare {
		t.Errorf("the flood has %d tokens, want %d", kept, limit/appsShare)
	}
	if g := tokens.Find(Fingerprint(fmt.Sprint("flood", 3*limit-1)), "g", nil); g == nil {
		t.Error("the flood's last token is not known")
	}
}

// Of an app's own tokens the one goes first that was not used for longest.
func TestAnAppsOldestTokenGoesFirst(t *testing.T) {
	const limit = 2 * fewTokens
	tokens, now := NewTokens(limit), time.Now()
	of := func(i int) Token { return Fingerprint(fmt.Sprint(i)) }
	for i := range fewTokens {
		tokens.Add(of(i), Grant{Group: "g", App: "1", Since: now})
	}
	if tokens.Find(of(0), "g", nil) == nil {
		t.Fatal("the first token is not known")
	}
	tokens.Add(of(fewTokens), Grant{Group: "g", App: "1", Since: now})
	for i, want := range map[int]bool{0: true, 1: false, 2: true, fewTokens: true} {
		if got := tokens.Find(of(i), "g", nil) != nil; got != want {
			t.Errorf("token %d is known: %v, want %v", i, got, want)
		}
	}
}
