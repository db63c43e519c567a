package forward

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
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/openapi"
)

// exchangeFor is an exchange whose request goes to servers.
func exchangeFor(t *testing.T, servers ...string) *exchange.Exchange {
	t.Helper()
	u := routing.Upstream{Settings: up.Settings{Timeout: time.Minute}}
	for _, s := range servers {
		base, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		u.Servers = append(u.Servers, base)
	}
	snap, err := routing.Compile(routing.Settings{Upstreams: map[string]routing.Upstream{"default": u}}, nil, "", up.Options{Logger: zap.NewNop(), Metrics: metrics.New(nil, nil), Dialer: new(connect.Dialer)})
	if err != nil {
		t.Fatal(err)
	}
	return &exchange.Exchange{Facts: exchange.Facts{Snap: snap, Group: snap.Groups["default"]}}
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
	ex.Route, ex.Path, ex.Target = "default", "/openApi/runJob2", "/openApi/runJob2"
	ex.Call, _ = openapi.Lookup("runJob2")
	ex.Body = []byte(`{"appId":1,"jobId":1}`)
	f := New(t.Context(), zap.NewNop(), metrics.New(nil, nil))
	requests := 0
	forward := func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
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
	ex.Attach(r)
	rec := httptest.NewRecorder()
	f.Translate(forward)(rec, r, ex)
	if requests != 2 || ex.Reached != up.NotSent || rec.Code != http.StatusBadGateway || ex.Translated != "" {
		t.Errorf("%d requests, outcome %d, translated %q, the caller got %d %s", requests, ex.Reached, ex.Translated, rec.Code, rec.Body)
	}
	if old.Executed("") != 0 {
		t.Error("something was executed")
	}
}

// Both requests of a translated call share one timeout.
func TestBothRequestsShareOneTimeout(t *testing.T) {
	ex := exchangeFor(t, "http://127.0.0.1:1")
	ex.Target = "/openApi/runJob2"
	ex.Call, _ = openapi.Lookup("runJob2")
	ex.Body = []byte(`{"appId":1,"jobId":1}`)
	r := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}}
	ex.Attach(r)
	var until []time.Time
	New(t.Context(), zap.NewNop(), metrics.New(nil, nil)).Translate(func(w http.ResponseWriter, _ *http.Request, ex *exchange.Exchange) {
		until = append(until, ex.Until)
		ex.Reached, ex.Server = up.Answered, ex.Group.Upstream.Servers[0]
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"status":404,"error":"Not Found","path":"/openApi/runJob2"}`)
	})(httptest.NewRecorder(), r, ex)
	if len(until) != 2 || until[0].IsZero() || until[0] != until[1] {
		t.Errorf("the deadlines are %v", until)
	}
}
