package routing

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/hosts"
)

// routesTo are settings with these routes to one group.
func routesTo(routes ...Route) Settings {
	server := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	s := Settings{Upstreams: map[string]Upstream{"default": {Settings: up.Settings{Servers: []*url.URL{server}}}}}
	for _, r := range routes {
		r.Upstream = "default"
		s.Routes = append(s.Routes, r)
	}
	return s
}

func compiled(t testing.TB, s Settings) *Snapshot {
	t.Helper()
	snap, err := Compile(s, nil, "", up.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func TestTheMostSpecificRouteWins(t *testing.T) {
	var list []Route
	for _, r := range []struct{ name, host, path string }{
		{"any", "", "/*"},
		{"wild", "*.example.test", "/*"},
		{"deeper", "*.b.example.test", "/*"},
		{"exact", "a.example.test", "/*"},
		{"api", "", "/openApi/*"},
		{"one", "", "/openApi/saveJob"},
		{"six", "2001:db8::1", "/*"},
	} {
		route := Route{Name: r.name, Paths: []string{r.path}, Upstream: "default"}
		if r.host != "" {
			route.Hosts = []string{r.host}
		}
		list = append(list, route)
	}
	snap := compiled(t, routesTo(list...))
	for _, c := range []struct{ host, path, want string }{
		{"other.test", "/x", "any"},
		{"x.example.test", "/x", "wild"},
		{"example.test", "/x", "any"},
		{"x.b.example.test", "/x", "deeper"},
		{"a.example.test", "/x", "exact"},
		{"A.EXAMPLE.test.:8080", "/openApi/saveJob", "exact"},
		{"other.test", "/openApi/runJob", "api"},
		{"other.test", "/openApi/saveJob", "one"},
		{"[2001:db8::1]:80", "/", "six"},
	} {
		got, _ := snap.RouteFor(Destination{Host: hosts.Bare(c.host), Path: c.path})
		if got == nil || got.Name != c.want {
			t.Errorf("%s%s: route %v, want %s", c.host, c.path, got, c.want)
		}
	}
}

func TestASlashAtTheEndOfAnExactPathCountsWhereItShould(t *testing.T) {
	s := routesTo(
		Route{Name: "with", Paths: []string{"/a/", "/b/"}, ExactSlash: true},
		Route{Name: "without", Paths: []string{"/a", "/"}, ExactSlash: true},
		Route{Name: "either", Paths: []string{"/c"}},
	)
	snap := compiled(t, s)
	for _, c := range []struct {
		path  string
		slash bool
		want  string
	}{
		{"/a", true, "with"}, {"/a", false, "without"}, {"/b", true, "with"}, {"/b", false, ""},
		{"/", true, "without"}, {"/c", true, "either"}, {"/c", false, "either"},
	} {
		route, _ := snap.RouteFor(Destination{Host: "h.test", Path: c.path, Slash: c.slash})
		if got := nameOf(route); got != c.want {
			t.Errorf("%s, with a slash: %t: %q, want %q", c.path, c.slash, got, c.want)
		}
	}
}

func nameOf(c *CompiledRoute) string {
	if c == nil {
		return ""
	}
	return c.Name
}

func TestAFallbackIsForWhatNoOtherRouteIsFor(t *testing.T) {
	s := routesTo(
		Route{Name: "hosts own", Hosts: []string{"a.test"}, Fallback: true},
		Route{Name: "everything", Fallback: true},
		Route{Name: "path", Hosts: []string{"a.test"}, Paths: []string{"/a"}},
		Route{Name: "any host", Paths: []string{"/b"}},
	)
	snap := compiled(t, s)
	for _, c := range []struct{ host, path, want string }{
		{"a.test", "/a", "path"}, {"a.test", "/b", "any host"}, {"a.test", "/c", "hosts own"}, {"b.test", "/c", "everything"},
	} {
		if route, _ := snap.RouteFor(Destination{Host: c.host, Path: c.path}); nameOf(route) != c.want {
			t.Errorf("%s%s: %q, want %q", c.host, c.path, nameOf(route), c.want)
		}
	}
}

func TestAStarIsOneLabelWhereItShouldBe(t *testing.T) {
	s := routesTo(Route{Name: "star", Hosts: []string{"*.a.test"}})
	for _, one := range []bool{false, true} {
		s.OneLabelWildcards = one
		snap := compiled(t, s)
		for host, want := range map[string]bool{"x.a.test": true, "y.x.a.test": !one, "a.test": false, ".a.test": false, "xa.test": false} {
			if route, _ := snap.RouteFor(Destination{Host: host, Path: "/"}); (route != nil) != want {
				t.Errorf("one label: %t: %s has a route: %t, want %t", one, host, route != nil, want)
			}
		}
	}
}

// routesForHosts are a snapshot with a route for each of n hosts, and a request
// to the last of them.
func routesForHosts(t testing.TB, n int) (*Snapshot, Destination) {
	t.Helper()
	var routes []Route
	for i := range n {
		routes = append(routes, Route{Name: fmt.Sprint(i), Hosts: []string{fmt.Sprintf("h%d.test", i)}, Paths: []string{"/openApi/*", "/*"}})
	}
	snap := compiled(t, routesTo(routes...))
	return snap, Destination{Host: fmt.Sprintf("h%d.test", n-1), Path: "/openApi/saveJob"}
}

// TestARouteAmongAThousandHostsIsFoundAsFastAsOne: one by one it would take some
// hundred times as long.
func TestARouteAmongAThousandHostsIsFoundAsFastAsOne(t *testing.T) {
	took := func(n int) time.Duration {
		snap, at := routesForHosts(t, n)
		least := time.Hour
		for range 20 {
			start := time.Now()
			for range 1000 {
				if route, _ := snap.RouteFor(at); route == nil {
					t.Fatal("no route")
				}
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	if one, many := took(1), took(1000); many > 20*one {
		t.Errorf("1,000 look-ups take %v with one host, %v with 1,000", one, many)
	}
}

// BenchmarkRoute is what finding a route costs, however many hosts there are.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n, " hosts"), func(b *testing.B) {
			snap, at := routesForHosts(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if route, _ := snap.RouteFor(at); route == nil {
					b.Fatal("no route")
				}
			}
		})
	}
}
