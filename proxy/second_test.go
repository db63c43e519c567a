package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/openapi"
)

// exchangeFor is an exchange whose request goes to servers.
func exchangeFor(t *testing.T, servers ...string) *Exchange {
	t.Helper()
	u := Upstream{Settings: up.Settings{Timeout: time.Minute}}
	for _, s := range servers {
		base, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		u.Servers = append(u.Servers, base)
	}
	snap, err := compile(Settings{Upstreams: map[string]Upstream{"default": u}}, nil, "", up.Options{Logger: zap.NewNop(), Metrics: metrics.New(nil, nil), Dialer: new(connect.Dialer)})
	if err != nil {
		t.Fatal(err)
	}
	return &Exchange{Facts: Facts{snap: snap, group: snap.groups["default"]}}
}

// If the second request is not sent, nothing was: the call counts as not sent.
func TestASecondRequestThatIsNotSentLeavesTheCallUnsent(t *testing.T) {
	old := legacy.New(legacy.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		old.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	ex := exchangeFor(t, server.URL)
	ex.route, ex.path, ex.target = "default", "/openApi/runJob2", "/openApi/runJob2"
	ex.call, _ = openapi.Lookup("runJob2")
	ex.body = []byte(`{"appId":1,"jobId":1}`)
	f := newForwarder(t.Context(), zap.NewNop(), metrics.New(nil, nil))
	requests := 0
	forward := func(w http.ResponseWriter, r *http.Request, ex *Exchange) {
		if requests++; requests == 2 {
			server.Listener.Close()
		}
		f.Forward(w, r, ex)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+base.Host+"/openApi/runJob2", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.RequestURI, r.Header = "/openApi/runJob2", http.Header{"Content-Type": {"application/json"}}
	ex.attach(r)
	rec := httptest.NewRecorder()
	f.Translate(forward)(rec, r, ex)
	if requests != 2 || ex.outcome != up.NotSent || rec.Code != http.StatusBadGateway || ex.translated != "" {
		t.Errorf("%d requests, outcome %d, translated %q, the caller got %d %s", requests, ex.outcome, ex.translated, rec.Code, rec.Body)
	}
	if old.Executed("") != 0 {
		t.Error("something was executed")
	}
}

// Both requests of a translated call share one timeout.
func TestBothRequestsShareOneTimeout(t *testing.T) {
	ex := exchangeFor(t, "http://127.0.0.1:1")
	ex.target = "/openApi/runJob2"
	ex.call, _ = openapi.Lookup("runJob2")
	ex.body = []byte(`{"appId":1,"jobId":1}`)
	r := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}}
	ex.attach(r)
	var until []time.Time
	newForwarder(t.Context(), zap.NewNop(), metrics.New(nil, nil)).Translate(func(w http.ResponseWriter, _ *http.Request, ex *Exchange) {
		until = append(until, ex.until)
		ex.outcome, ex.server = up.Answered, ex.group.upstream.Servers[0]
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"error":"Not Found","path":"/openApi/runJob2"}`)
	})(httptest.NewRecorder(), r, ex)
	if len(until) != 2 || until[0].IsZero() || until[0] != until[1] {
		t.Errorf("the deadlines are %v", until)
	}
}
