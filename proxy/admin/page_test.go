package admin

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/proxy/admin/recent"
	"powerjob-shim/rules"
)

const hostile = `"><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`

func hostilePage(t *testing.T) http.Handler {
	t.Helper()
	r := recent.New()
	now := time.Now()
	r.Decided(now, rules.Replayed)
	r.Dropped(recent.Drop{At: now, Call: "saveJob", App: hostile, Decision: rules.Replayed, Reason: hostile, Client: netip.MustParseAddr("10.1.2.3")})
	r.Resent(now, netip.MustParseAddr("10.1.2.3"), hostile)
	return Page(r, func(context.Context) State {
		return State{
			About: About{Version: hostile, Started: now.Add(-time.Hour), Hash: "0123456789abcdef", Configuration: "name: " + hostile, Dedup: Dedup{Store: "memory"}},
			Groups: []Group{{Name: hostile, Routes: []string{hostile}, Servers: []Server{
				{Server: hostile, State: "up", Healthy: true, Reachable: true, Doctor: &doctor.Finding{Verdict: doctor.Affected, Summary: hostile}, Problem: hostile, Advice: hostile},
			}}},
		}
	})
}

func get(h http.Handler, target, accept string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if accept != "" {
		r.Header.Set("Accept-Language", accept)
	}
	h.ServeHTTP(w, r)
	return w
}

func TestEverythingOnThePageIsEscaped(t *testing.T) {
	for _, lang := range languages {
		body := get(hostilePage(t), "/?lang="+lang, "").Body.String()
		if n := strings.Count(body, "<script"); n != 1 {
			t.Errorf("%s: %d scripts", lang, n)
		}
		if strings.Contains(body, "<img") || strings.Contains(body, `"><`+"script>document") {
			t.Errorf("%s: markup got through", lang)
		}
		if n := strings.Count(body, "&lt;script&gt;document.title"); n < 9 {
			t.Errorf("%s: only %d of the hostile texts are shown as text", lang, n)
		}
	}
}

// TestThePageNeedsNothingElse looks for anything that a browser would fetch, or
// that the policy in the answer's header would stop.
func TestThePageNeedsNothingElse(t *testing.T) {
	w := get(hostilePage(t), "/", "")
	body := w.Body.String()
	escape := strings.NewReplacer(`"`, "&#34;", "<", "&lt;", ">", "&gt;", "'", "&#39;")
	ours := strings.NewReplacer(escape.Replace(hostile), "", escape.Replace(hostile[:64]+"…"), "").Replace(body)
	if found := regexp.MustCompile(`(?i)\s(src|srcset|style|on[a-z]+)=|<link|@import|url\(|https?://`).FindString(ours); found != "" {
		t.Errorf("the page has %q", found)
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, nonce := range regexp.MustCompile(`nonce="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(policy, "'nonce-"+nonce[1]+"'") {
			t.Errorf("the policy %q does not know the nonce %q", policy, nonce[1])
		}
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("it may be kept")
	}
}

func TestTheLanguageIsTheReaders(t *testing.T) {
	for _, c := range []struct{ target, accept, want string }{
		{"/", "", "en"},
		{"/", "zh-CN,zh;q=0.9,en;q=0.8", "zh"},
		{"/", "zh-TW", "zh"},
		{"/", "de-DE,zh;q=0.5", "zh"},
		{"/", "en-US,en;q=0.9,zh;q=0.1", "en"},
		{"/", "fr", "en"},
		{"/", "\x00;;q=x", "en"},
		{"/?lang=zh", "en", "zh"},
		{"/?lang=en", "zh", "en"},
		{"/?lang=xx", "zh", "zh"},
	} {
		w := get(hostilePage(t), c.target, c.accept)
		if got := w.Header().Get("Content-Language"); got != c.want || !strings.Contains(w.Body.String(), `<html lang="`+c.want+`">`) {
			t.Errorf("%s with %q: %s, want %s", c.target, c.accept, got, c.want)
		}
	}
}

func TestBothLanguagesHaveTheSameWords(t *testing.T) {
	en, zh := slices.Sorted(maps.Keys(words["en"])), slices.Sorted(maps.Keys(words["zh"]))
	if !slices.Equal(en, zh) {
		t.Errorf("en has %q\nzh has %q", en, zh)
	}
	text := pageText
	for _, name := range en {
		if first, _, many := strings.Cut(name, " "); many && slices.Contains([]string{"decision", "reason", "verdict", "state"}, first) {
			continue // looked up by the word that comes
		}
		if !strings.Contains(text, ".T."+name) && !strings.Contains(text, `T "`+name+`"`) {
			t.Errorf("%q is on no page", name)
		}
	}
}

func TestOnlyTheTokenGetsIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inside := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ask := func(set func(*http.Request)) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		set(r)
		Guard(inside, file).ServeHTTP(w, r)
		if w.Code == http.StatusUnauthorized && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Error("a browser is not asked for a password")
		}
		return w.Code
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	password := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("anyone", token) }
	}
	write("s3cret\n")
	for name, c := range map[string]struct {
		set  func(*http.Request)
		want int
	}{
		"nothing":          {func(*http.Request) {}, 401},
		"bearer":           {bearer("s3cret"), 204},
		"lower case":       {func(r *http.Request) { r.Header.Set("Authorization", "bearer s3cret") }, 204},
		"another":          {bearer("s3cre"), 401},
		"empty":            {bearer(""), 401},
		"password":         {password("s3cret"), 204},
		"another password": {password("s3cret\n"), 401},
		"no scheme":        {func(r *http.Request) { r.Header.Set("Authorization", "s3cret") }, 401},
	} {
		if got := ask(c.set); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	write("rotated")
	if old, fresh := ask(bearer("s3cret")), ask(bearer("rotated")); old != 401 || fresh != 204 {
		t.Errorf("after a rotation the old token gets %d, the new one %d", old, fresh)
	}
	write("\n")
	if got := ask(bearer("")); got != 503 {
		t.Errorf("an empty file lets in with %d", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := ask(bearer("rotated")); got != 503 {
		t.Errorf("without the file: %d", got)
	}
}
