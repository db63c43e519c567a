package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

// dedupWindow is the window of the rules below: longer than any test takes, so
// that a slow machine changes nothing.
const dedupWindow = 5 * time.Minute

// saveRule and changesRule are the rules that the default configuration has,
// but for the window.
var (
	saveRule = rules.Rule{
		Name: "save-job", Paths: []string{"/openApi/saveJob"},
		Dedup: &rules.Dedup{Match: rules.MatchBody, Window: dedupWindow},
	}
	changesRule = rules.Rule{
		Name: "other-changes", Paths: []string{"/openApi/*"},
		Dedup: &rules.Dedup{Match: rules.MatchResend, Window: dedupWindow},
	}
	defaultRules = []rules.Rule{authRule, saveRule, changesRule}
)

// dedupSettings are settings with the default rules in front of servers.
func dedupSettings(t testing.TB, servers ...string) Settings {
	t.Helper()
	s := settingsFor(t, servers...)
	s.Rules = compileRules(t, defaultRules...)
	return s
}

// newDedup starts a stand-in server and a shim with the default rules in front
// of it.
func newDedup(t testing.TB, o legacy.Options) (*shim, *legacy.Server) {
	t.Helper()
	server, url := startLegacy(t, o)
	return newShim(t, dedupSettings(t, url)), server
}

func startLegacy(t testing.TB, o legacy.Options) (*legacy.Server, string) {
	t.Helper()
	s := legacy.New(o)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, url
}

// logIn makes a client object of 5.1.0 as a Java process would.
func logIn(t testing.TB, addresses ...string) *client.Client {
	t.Helper()
	transport := &client.SocketTransport{Timeout: patience}
	t.Cleanup(transport.CloseIdle)
	c, err := client.New(client.Config{Addresses: addresses, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// must sends a logical call that has to succeed.
func must(t testing.TB, c *client.Client, name string, p client.Params) client.Result {
	t.Helper()
	r, err := c.Call(name, p)
	if err != nil || !r.Success {
		t.Fatalf("%s: %v, %q", name, err, r.Message)
	}
	return r
}

// wantExecuted compares how often the server executed a call; "": any call.
func wantExecuted(t testing.TB, s *legacy.Server, call string, want int) {
	t.Helper()
	if got := s.Executed(call); got != want {
		t.Errorf("the server executed %s %d times, want %d", call, got, want)
	}
}

// saveBody is a saveJob of app 1; id 0 creates a job.
func saveBody(id int, name string) string {
	if id == 0 {
		return fmt.Sprintf(`{"id":null,"appId":1,"jobName":%q}`, name)
	}
	return fmt.Sprintf(`{"id":%d,"appId":1,"jobName":%q}`, id, name)
}

const (
	jsonLine = "Content-Type: application/json"
	formLine = "Content-Type: application/x-www-form-urlencoded"
)

// save is a saveJob whose connection closes afterwards, with the token t1.
func save(body string) string { return saveWith("t1", body) }

func saveWith(token, body string) string {
	return request("POST", "/openApi/saveJob", body, jsonLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": "+token)
}

// form is a call with a form body, with the token t1.
func form(call, body string) string {
	return request("POST", "/openApi/"+call, body, formLine, openapi.AppIDHeader+": 1", openapi.TokenHeader+": t1")
}

// decision is what an answer says that became of its call, "" without one.
func decision(answer string) string {
	found := lines(answer, headerShim)
	if len(found) != 1 {
		return strings.Join(found, ", ")
	}
	_, value, _ := strings.Cut(found[0], ": ")
	return value
}

// bodyOf is an answer's body, chunks included where it has any.
func bodyOf(answer string) string {
	_, body, _ := strings.Cut(answer, "\r\n\r\n")
	return body
}

// async sends bytes on a connection of their own and returns where its answer
// will be.
func async(t testing.TB, addr, message string) <-chan string {
	t.Helper()
	answer := make(chan string, 1)
	c := dial(t, addr)
	if _, err := io.WriteString(c, message); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		b, _ := io.ReadAll(c)
		answer <- string(b)
	}()
	return answer
}

// inFlight waits until n calls are on their way or wait for one that is.
func (s *shim) inFlight(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " calls in flight"), func() bool { return s.store.Stats().InFlight == n })
}

// barrier holds calls at the server, before they are executed.
type barrier struct {
	call     string
	arrived  chan struct{}
	released chan struct{}
	once     sync.Once
}

// newBarrier opens by itself when the test ends.
func newBarrier(t testing.TB, call string) *barrier {
	g := &barrier{call: call, arrived: make(chan struct{}, 10_000), released: make(chan struct{})}
	t.Cleanup(g.open)
	return g
}

func (g *barrier) open() { g.once.Do(func() { close(g.released) }) }

// fault is for legacy.Options.
func (g *barrier) fault(r legacy.Request) legacy.Fault {
	if r.Call == g.call {
		g.arrived <- struct{}{}
		<-g.released
	}
	return legacy.Fault{}
}

// lowercasing is a hop that lowercases the names of the answers' headers, as
// Envoy, HAProxy and every HTTP/2 hop do.
func lowercasing(t testing.TB, to string) (addr string) {
	t.Helper()
	return tcpfaults.Serve(t, func(from net.Conn) { lowercase(from, to) })
}

func lowercase(from net.Conn, to string) {
	defer func() { _ = from.Close() }()
	shim, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = shim.Close() }()
	go func() {
		_, _ = io.Copy(shim, from)
		_ = shim.Close()
	}()
	r := bufio.NewReader(shim)
	for {
		answer, err := readRaw(r)
		if err != nil {
			return
		}
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		parts := strings.Split(head, "\r\n")
		for i, line := range parts[1:] {
			name, value, _ := strings.Cut(line, ":")
			parts[i+1] = strings.ToLower(name) + ":" + value
		}
		if _, err := io.WriteString(from, strings.Join(parts, "\r\n")+"\r\n\r\n"+body); err != nil {
			return
		}
	}
}

// loopback trusts the forwarding headers of everyone in a test.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// from is a client.Transport that names a client's address, as a trusted proxy
// does.
type from struct{ address string }

// RoundTrip implements client.Transport.
func (f from) RoundTrip(address string, r client.Request) (client.Response, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return client.Response{}, err
	}
	defer func() { _ = c.Close() }()
	r.Header = append(r.Header, client.Field{Name: headerForwardedFor, Value: f.address})
	if err := client.WriteRequest(c, address, r); err != nil {
		return client.Response{}, err
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return wireclient.ReadResponse(bufio.NewReader(c), 0)
}

// exchangeOnce sends a message, reads one answer and closes the connection at
// once.
func exchangeOnce(t testing.TB, addr, message string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, message); err != nil {
		t.Fatal(err)
	}
	answer, err := readRaw(bufio.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
