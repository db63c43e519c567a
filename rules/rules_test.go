package rules

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	upper  = &Header{Name: "X-UPPER", Value: "true"}
	recase = &Header{Name: "X-CaSe"}
	body   = &Dedup{Match: MatchBody, Window: 5 * time.Second}
	resend = &Dedup{Match: MatchResend, Window: 7 * time.Second}
)

func compile(t *testing.T, list ...Rule) *Set {
	t.Helper()
	set, err := Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestCompileReportsAllProblemsAtOnce(t *testing.T) {
	_, err := Compile([]Rule{
		{Name: "good", Paths: []string{"/a"}, Header: upper},
		{},
		{Name: "good", Paths: []string{"/b"}, Dedup: &Dedup{}},
		{Name: "bad-header", Paths: []string{"x", "/a*b"}, Header: &Header{Name: "no name", Value: "no\nvalue"}},
		{Name: "bad-header", Paths: []string{"/**"}, Header: &Header{}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`rule 1 (): a rule needs a name`,
		`a rule needs paths`,
		`a rule needs a header or a dedup block, else it does nothing`,
		`rule 2 (good): a dedup window must be longer than 0`,
		`rule 2: name "good" is taken by an earlier rule`,
		`rule 3 (bad-header): "no name" is no header name`,
		`"no\nvalue" is no header value`,
		`path "x" must start with / and may have one * at its end`,
		`path "/a*b" must start with / and may have one * at its end`,
		`rule 4 (bad-header): "" is no header name`,
		`path "/**" must start with / and may have one * at its end`,
		`rule 4: name "bad-header" is taken by an earlier rule`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNoRulesMatchNothing(t *testing.T) {
	set := compile(t)
	if got := set.For("POST", "h", "/openApi/saveJob"); !reflect.DeepEqual(got, Matched{}) {
		t.Errorf("got %+v", got)
	}
	if set.Window() != 0 {
		t.Errorf("window: got %v, want 0", set.Window())
	}
}

func TestAPathIsMatchedAsAWholeOrByItsPrefix(t *testing.T) {
	for _, test := range []struct {
		rule    string
		matches string // separated by spaces; "-" stands for the empty path
		not     string
	}{
		{"/openApi/*", "/openApi/saveJob /openApi/x/y", "/openApi /openapi/saveJob /x/openApi/saveJob /"},
		{"/openApi/save*", "/openApi/save /openApi/saveJob", "/openApi/sav /openApi/xsave"},
		{"/openApi/saveJob", "/openApi/saveJob", "/openApi/saveJob2 /openApi/savejob /openApi/saveJob/x"},
		{"/openApi/saveJob/", "/openApi/saveJob", "/openApi/saveJob/x"},
		{"/*", "/ - /a /a/b", ""},
		{"/", "/ -", "/a"},
	} {
		set := compile(t, Rule{Name: "r", Paths: []string{test.rule}, Dedup: body})
		for want, paths := range map[bool]string{true: test.matches, false: test.not} {
			for _, path := range strings.Fields(paths) {
				if got := set.For("POST", "h", strings.TrimPrefix(path, "-")).Dedup != nil; got != want {
					t.Errorf("rule %s, path %s: got %v, want %v", test.rule, path, got, want)
				}
			}
		}
	}
}

func TestReadsAndLoginsAreHeldToNoDedupRule(t *testing.T) {
	set := compile(t, Rule{Name: "all", Paths: []string{"/*"}, Header: upper, Dedup: body})
	for path, want := range map[string]bool{
		"/openApi/saveJob": true, "/openApi/runJob2": true, "/openApi/unheardOf": true, "/container/x": true,
		"/openApi/fetchJob": false, "/openApi/queryUnheardOf": false, "/openApi/exportUnheardOf": false, "/openApi/authApp": false, "/openApi/assert": false,
	} {
		got := set.For("POST", "h", path)
		if (got.Dedup != nil) != want || (got.Rule != "") != want {
			t.Errorf("%s: held to %q, want %v", path, got.Rule, want)
		}
		if len(got.Headers) != 1 {
			t.Errorf("%s: the header rule is gone", path)
		}
	}
}

func TestWhatIsSafeByItsMethodIsNotRepeatable(t *testing.T) {
	for request, want := range map[string]bool{
		"POST /openApi/saveJob": true, "POST /openApi/unheardOf": true, "POST /container/x": true, "PUT /container/x": true,
		"POST /openApi/fetchJob": false, "POST /openApi/authApp": false,
		"GET /openApi/saveJob": false, "OPTIONS /openApi/saveJob": false, "HEAD /openApi/saveJob": false, "PUT /openApi/saveJob": false,
		"GET /container/x": false, "HEAD /container/x": false, "OPTIONS /container/x": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := Repeatable(method, path); got != want {
			t.Errorf("%s: got %v", request, got)
		}
	}
}

func TestADedupRuleMustNameSomethingThatChanges(t *testing.T) {
	for _, test := range []struct {
		paths string
		bad   bool
	}{
		{"/openApi/fetchJob", true},
		{"/openApi/fetchJob/ /openApi/assert /openApi/queryThings", true},
		{"/openApi/fetch* /openApi/queryJ*", true},
		{"/openApi/fetchJob /openApi/saveJob", false},
		{"/openApi/fetchJob /container/list", false},
		{"/openApi/fet* /openApi/queryJob", false}, // fetter would be a change
		{"/openApi/*", false},
	} {
		r := Rule{Name: "r", Paths: strings.Fields(test.paths), Dedup: body}
		_, err := Compile([]Rule{r})
		if (err != nil) != test.bad {
			t.Errorf("%+v: got %v", test, err)
		}
		r.Header, r.Dedup = upper, nil
		if _, err := Compile([]Rule{r}); err != nil {
			t.Errorf("%+v without dedup: got %v", test, err)
		}
	}
}

func TestMethodsNarrowARule(t *testing.T) {
	set := compile(t, Rule{Name: "r", Methods: []string{"POST", "PUT"}, Paths: []string{"/*"}, Dedup: body})
	for method, want := range map[string]bool{"POST": true, "PUT": true, "GET": false, "post": false, "": false} {
		if got := set.For(method, "h", "/a").Dedup != nil; got != want {
			t.Errorf("%q: got %v, want %v", method, got, want)
		}
	}
}

func TestHostsNarrowARule(t *testing.T) {
	set := compile(t, Rule{Name: "r", Hosts: []string{"a.example.com", "*.jobs.example.com", "::1"}, Paths: []string{"/*"}, Dedup: body})
	for host, want := range map[string]bool{
		"a.example.com": true, "A.Example.COM": true, "a.example.com:7700": true, "a.example.com.": true, "a.example.com.:80": true,
		"x.jobs.example.com": true, "X.Y.JOBS.example.com:80": true, "[::1]": true, "[::1]:7700": true,

		"": false, "example.com": false, "b.example.com": false, "xa.example.com": false, "a.example.com.evil": false,
		"jobs.example.com": false, ".jobs.example.com": false, "xjobs.example.com": false, "127.0.0.1": false,
	} {
		if got := set.For("POST", host, "/a").Dedup != nil; got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

func TestARequestTakesAllHeadersAndTheFirstDedup(t *testing.T) {
	set := compile(t,
		Rule{Name: "first", Paths: []string{"/openApi/*"}, Header: upper},
		Rule{Name: "elsewhere", Paths: []string{"/other"}, Header: recase, Dedup: body},
		Rule{Name: "second", Paths: []string{"/openApi/saveJob"}, Dedup: resend},
		Rule{Name: "third", Paths: []string{"/*"}, Header: recase, Dedup: body},
	)
	for path, want := range map[string]Matched{
		"/openApi/saveJob": {Headers: []Header{*upper, *recase}, Dedup: resend, Rule: "second"},
		"/openApi/runJob":  {Headers: []Header{*upper, *recase}, Dedup: body, Rule: "third"},
		"/js/app.js":       {Headers: []Header{*recase}, Dedup: body, Rule: "third"},
	} {
		if got := set.For("POST", "h", path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
	// A request's headers are shared with those of others: none may grow into another's.
	a := set.For("POST", "h", "/openApi/runJob").Headers
	_ = append(a[:1], Header{Name: "X-OTHER"})
	if got := set.For("POST", "h", "/js/app.js").Headers; !reflect.DeepEqual(got, []Header{*recase}) {
		t.Errorf("a caller's append shows: %+v", got)
	}
}

func TestTheWindowIsTheLongestOfAll(t *testing.T) {
	set := compile(t,
		Rule{Name: "a", Paths: []string{"/a"}, Dedup: body},
		Rule{Name: "b", Paths: []string{"/b"}, Dedup: resend},
		Rule{Name: "c", Paths: []string{"/c"}, Header: upper},
	)
	if set.Window() != resend.Window {
		t.Errorf("got %v, want %v", set.Window(), resend.Window)
	}
	if got := compile(t, Rule{Name: "c", Paths: []string{"/c"}, Header: upper}).Window(); got != 0 {
		t.Errorf("without dedup: got %v, want 0", got)
	}
}

func TestOneHeaderRuleCostsNoAllocation(t *testing.T) {
	set := compile(t,
		Rule{Name: "header", Paths: []string{"/openApi/*"}, Header: upper},
		Rule{Name: "dedup", Paths: []string{"/openApi/saveJob"}, Dedup: body},
	)
	if n := testing.AllocsPerRun(100, func() { set.For("POST", "h", "/openApi/saveJob") }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func TestTheWordsOfTheContract(t *testing.T) {
	if got, want := strings.Join(Decisions(), " "), "forwarded replayed coalesced observed bypassed unknown"; got != want {
		t.Errorf("decisions: got %q, want %q", got, want)
	}
	reasons := BypassReasons()
	slices.Sort(reasons)
	if got, want := strings.Join(reasons, " "), "answer_budget body_budget body_timeout body_too_large too_many_in_flight"; got != want {
		t.Errorf("reasons: got %q, want %q", got, want)
	}
	if got, want := MatchBody.String()+" "+MatchResend.String(), "body resend"; got != want {
		t.Errorf("matches: got %q, want %q", got, want)
	}
}
