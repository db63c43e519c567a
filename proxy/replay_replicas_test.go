package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/store/redislog"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// newReplicas starts n shims that share a store, in front of one server.
func newReplicas(t *testing.T, n int, o legacy.Options, change ...func(*Settings)) ([]*shim, *legacy.Server) {
	t.Helper()
	redis := redistest.Start(t)
	server, url := startLegacy(t, o)
	settings := dedupSettings(t, url)
	for _, c := range change {
		c(&settings)
	}
	shims := make([]*shim, n)
	for i := range shims {
		conn := redislog.Connect(redislog.Connection{Addresses: []string{redis.Addr}})
		store := redislog.New(redislog.Options{Client: conn, Prefix: "test:", Timeout: patience})
		t.Cleanup(func() { // after the shim's end
			store.Close()
			_ = conn.Close()
		})
		shims[i] = newShimOn(t, settings, store, store)
	}
	return shims, server
}

// post sends a save over a connection that is kept, and reports its decision.
func post(t *testing.T, c *http.Client, addr, body string) string {
	r, err := http.NewRequest(http.MethodPost, "http://"+addr+"/openApi/saveJob", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return ""
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(openapi.AppIDHeader, "1")
	r.Header.Set(openapi.TokenHeader, "t1")
	res, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !openapi.Succeeded(answer) {
		t.Errorf("%d %s %v", res.StatusCode, answer, err)
	}
	return res.Header.Get(headerShim)
}

func TestTwoHundredEqualCallsThroughFourReplicasAreOne(t *testing.T) {
	shims, server := newReplicas(t, 4, legacy.Options{Mode: legacy.Legacy})
	caller := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	defer caller.CloseIdleConnections()
	var wg sync.WaitGroup
	var mu sync.Mutex
	decisions := map[string]int{}
	for i := range 200 {
		wg.Go(func() {
			d := post(t, caller, shims[i%len(shims)].addr, saveBody(0, "nightly"))
			mu.Lock()
			decisions[d]++
			mu.Unlock()
		})
	}
	wg.Wait()
	wantExecuted(t, server, "saveJob", 1)
	if decisions["forwarded"] != 1 || decisions["coalesced"]+decisions["replayed"] != 199 {
		t.Errorf("decisions %v", decisions)
	}
}

func TestTenThousandDistinctCallsThroughFourReplicasAreTenThousand(t *testing.T) {
	calls := 10_000
	if testing.Short() {
		calls = 1_000
	}
	shims, server := newReplicas(t, 4, legacy.Options{Mode: legacy.Legacy})
	caller := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	defer caller.CloseIdleConnections()
	var wg sync.WaitGroup
	const workers = 40
	for w := range workers {
		wg.Go(func() {
			for i := w; i < calls; i += workers {
				if d := post(t, caller, shims[i%len(shims)].addr, saveBody(0, fmt.Sprint("job ", i))); d != "forwarded" {
					t.Errorf("call %d: %s", i, d)
				}
			}
		})
	}
	wg.Wait()
	wantExecuted(t, server, "saveJob", calls)
}

// alternating is a client.Transport that takes another replica for each
// request and loses the header on the way.
type alternating struct {
	to    []string
	next  int
	under client.Transport

	keepCase bool // lose nothing
}

// RoundTrip implements client.Transport.
func (a *alternating) RoundTrip(_ string, r client.Request) (client.Response, error) {
	a.next++
	res, err := a.under.RoundTrip(a.to[a.next%len(a.to)], r)
	for i := range res.Header {
		if a.keepCase {
			break
		}
		res.Header[i].Name = strings.ToLower(res.Header[i].Name)
	}
	return res, err
}

func TestAReSendOnAnotherReplicaIsNotExecuted(t *testing.T) {
	shims, server := newReplicas(t, 2, legacy.Options{Mode: legacy.Legacy})
	under := &client.SocketTransport{Timeout: patience}
	t.Cleanup(under.CloseIdle)
	// Each call is a request, a login and the request again: three, so that the
	// re-send takes the other way round each time.
	c, err := client.New(client.Config{
		Addresses: []string{"replicas"}, AppName: "app1", Password: "pw",
		Transport: &alternating{to: []string{shims[0].addr, shims[1].addr, shims[1].addr, shims[0].addr}, under: under},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := must(t, c, "saveJob", client.Params{"jobName": "nightly"}).ID()
	const runs = 20
	for range runs { // all of them meant
		must(t, c, "runJob", client.Params{"jobId": id})
	}
	wantExecuted(t, server, "saveJob", 1)
	wantExecuted(t, server, "runJob", runs)
	if got := server.Received("authApp"); got < runs {
		t.Errorf("%d logins: the header was not lost", got)
	}
}

func TestTheGateKnowsTokensOfOtherReplicas(t *testing.T) {
	shims, server := newReplicas(t, 2, legacy.Options{Mode: legacy.Legacy}, func(s *Settings) { s.Access.Mode = access.Enforce })
	under := &client.SocketTransport{Timeout: patience}
	t.Cleanup(under.CloseIdle)
	// The header arrives: a token that is refused would show as another login.
	c, err := client.New(client.Config{
		Addresses: []string{"replicas"}, AppName: "app1", Password: "pw",
		Transport: &alternating{to: []string{shims[0].addr, shims[1].addr}, under: under, keepCase: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	logins := server.Received("authApp")
	const runs = 10
	id := must(t, c, "saveJob", client.Params{"jobName": "nightly"}).ID()
	for range runs {
		must(t, c, "runJob", client.Params{"jobId": id})
	}
	wantExecuted(t, server, "runJob", runs)
	if got := server.Received("authApp"); got != logins {
		t.Errorf("%d more logins", got-logins)
	}
}
