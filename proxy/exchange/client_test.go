package exchange

import (
	"net/http"
	"net/netip"
	"testing"

	"powerjob-shim/proxy/routing"
)

func TestTheClientIsFoundBehindTrustedProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		peer    string
		chain   []string
		want    string
		certain bool
	}{
		{"192.0.2.1:5", nil, "192.0.2.1", true},
		{"192.0.2.1:5", []string{"192.0.2.9"}, "192.0.2.1", true},
		{"10.0.0.1:5", []string{"192.0.2.9"}, "192.0.2.9", true},
		{"10.0.0.1:5", []string{"6.6.6.6, 192.0.2.9, 10.0.0.2"}, "192.0.2.9", true},
		{"10.0.0.1:5", []string{"192.0.2.9", "10.0.0.2"}, "192.0.2.9", true},
		{"10.0.0.1:5", []string{"192.0.2.9:1234"}, "192.0.2.9", true},
		{"10.0.0.1:5", []string{"[2001:db8::1]:1234"}, "2001:db8::1", true},
		{"[fd00::1]:5", []string{"2001:db8::1"}, "2001:db8::1", true},
		{"[::ffff:10.0.0.1]:5", []string{"192.0.2.9"}, "192.0.2.9", true},
		{"10.0.0.1:5", nil, "10.0.0.1", false},
		{"10.0.0.1:5", []string{"unknown"}, "10.0.0.1", false},
		{"10.0.0.1:5", []string{"10.0.0.3"}, "10.0.0.3", false},
		{"@", nil, "invalid IP", false},
	} {
		ex := &Exchange{Facts: Facts{Snap: &routing.Snapshot{Settings: routing.Settings{TrustedProxies: trusted}}}}
		ex.findClient(&http.Request{RemoteAddr: c.peer, Header: http.Header{forwardedFor: c.chain}})
		if ex.Client.String() != c.want || ex.clientTrusted != c.certain {
			t.Errorf("from %s by %q: %v, certain %v; want %s, %v", c.peer, c.chain, ex.Client, ex.clientTrusted, c.want, c.certain)
		}
	}
}
