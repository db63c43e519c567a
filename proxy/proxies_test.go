package proxy

import (
	"net/netip"
	"slices"
	"testing"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/listen"
)

func TestForwardingHeadersAreBelievedFromTrustedProxiesOnly(t *testing.T) {
	came := []string{"X-Forwarded-For: 192.0.2.7, 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: outside.test", "Forwarded: for=192.0.2.7"}
	for _, c := range []struct {
		name    string
		trusted []netip.Prefix
		want    []string
		client  string
	}{
		{"nobody is trusted", nil,
			[]string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: shim.test", "X-Forwarded-Proto: http"}, "127.0.0.1"},
		{"the peer is trusted", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			[]string{"Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7, 10.0.0.1, 127.0.0.1", "X-Forwarded-Host: outside.test", "X-Forwarded-Proto: https"}, "10.0.0.1"},
		{"the whole chain is trusted", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")},
			[]string{"Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7, 10.0.0.1, 127.0.0.1", "X-Forwarded-Host: outside.test", "X-Forwarded-Proto: https"}, "192.0.2.7"},
	} {
		up := newRawServer(t, answerWith())
		settings := settingsFor(t, up.url)
		settings.TrustedProxies = c.trusted
		s := newShim(t, settings)
		raw(t, s.addr, request("GET", "/", "", came...))
		req := up.requests()[0]
		var got []string
		for _, name := range []string{"Forwarded", headerForwardedFor, headerForwardedHost, headerForwardedProto} {
			got = append(got, lines(req, name)...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the upstream got %q, want %q", c.name, got, c.want)
		}
		if client := s.logLine(t, 0)[exchange.FieldClient]; client != c.client {
			t.Errorf("%s: the client is %v, want %s", c.name, client, c.client)
		}
	}
}

func TestTheClientOfAPROXYHeaderIsForwardedAndLogged(t *testing.T) {
	up := newRawServer(t, answerWith())
	settings := settingsFor(t, up.url)
	settings.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := newShimAt(t, settings, nil, nil, listen.Listener{ProxyProtocol: listen.ProxyRequire})
	raw(t, s.addr, "PROXY TCP4 203.0.113.7 10.0.0.1 50000 7700\r\n"+request("GET", "/openApi/fetchAllJob", ""))
	if got := up.requests(); len(got) != 1 || !slices.Equal(lines(got[0], headerForwardedFor), []string{headerForwardedFor + ": 203.0.113.7"}) {
		t.Errorf("the server got %q", got)
	}
	if client := s.logLine(t, 0)[exchange.FieldClient]; client != "203.0.113.7" {
		t.Errorf("the log says %v", client)
	}
	// Trusted proxies may change while the shim runs.
	settings.TrustedProxies = nil
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	if got := raw(t, s.addr, "PROXY TCP4 203.0.113.7 10.0.0.1 50000 7700\r\n"+request("GET", "/", "")); got != "" {
		t.Errorf("a stranger's PROXY header got %q", got)
	}
}
