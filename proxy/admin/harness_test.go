package admin

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"powerjob-shim/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// patience bounds what should happen at once; no test that passes waits for it.
const patience = time.Minute

// fakeView is a View of a proxy with one group, by default, whose one server is up.
type fakeView struct {
	about  *About
	groups *[]Group
	looks  *int // how often it was looked at; nil: that does not matter
}

func (v fakeView) About() About {
	if v.about == nil {
		return About{GroupNames: []string{"default"}}
	}
	return *v.about
}

func (v fakeView) Look(context.Context) []Group {
	if v.looks != nil {
		*v.looks++
	}
	if v.groups == nil {
		return []Group{{Name: "default", Routed: true, Servers: []Server{{Server: "a:1", State: "up", Reachable: true, Healthy: true, Ready: true}}}}
	}
	return *v.groups
}

func (v fakeView) Complete(_ context.Context, found []Group) ([]Group, *Need) { return found, nil }

func seen(v View) func() View { return func() View { return v } }

// ask asks h for a path.
func ask(h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:9700"
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
