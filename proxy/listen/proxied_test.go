package listen

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// version2 is a PROXY header of version 2 for a client.
func version2(t *testing.T, command proxyproto.ProtocolVersionAndCommand, client string) string {
	t.Helper()
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))
	h := proxyproto.HeaderProxyFromAddrs(2, from, &net.TCPAddr{IP: from.IP, Port: 7700})
	h.Command = command
	var b bytes.Buffer
	if _, err := h.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestThePROXYProtocolTellsTheClientWhereItIsTrusted(t *testing.T) {
	const v1 = "PROXY TCP4 203.0.113.7 10.0.0.1 50000 7700\r\n"
	const v6 = "PROXY TCP6 2001:db8::7 2001:db8::1 50000 7700\r\n"
	v2 := version2(t, proxyproto.PROXY, "203.0.113.8:50000")
	local := version2(t, proxyproto.LOCAL, "203.0.113.8:50000")
	for name, c := range map[string]struct {
		mode    ProxyProtocol
		trusted string
		header  string
		client  string // as the handler gets it; "": the connection is closed without a byte
	}{
		"version 1":                             {ProxyAccept, "127.0.0.0/8", v1, "203.0.113.7"},
		"version 1, IPv6":                       {ProxyRequire, "127.0.0.0/8", v6, "2001:db8::7"},
		"version 2":                             {ProxyAccept, "127.0.0.0/8", v2, "203.0.113.8"},
		"version 2, required":                   {ProxyRequire, "127.0.0.0/8", v2, "203.0.113.8"},
		"the balancer's own check":              {ProxyRequire, "127.0.0.0/8", local, "127.0.0.1"},
		"version 1, unknown":                    {ProxyRequire, "127.0.0.0/8", "PROXY UNKNOWN\r\n", "127.0.0.1"},
		"none where it is accepted":             {ProxyAccept, "127.0.0.0/8", "", "127.0.0.1"},
		"none where it is required":             {ProxyRequire, "127.0.0.0/8", "", ""},
		"malformed":                             {ProxyAccept, "127.0.0.0/8", "PROXY TCP4 nonsense\r\n", ""},
		"an address that is none":               {ProxyAccept, "127.0.0.0/8", "PROXY TCP4 203.0.113.777 10.0.0.1 50000 7700\r\n", ""},
		"from a stranger":                       {ProxyAccept, "192.0.2.0/24", v1, ""},
		"version 2 from a stranger":             {ProxyAccept, "192.0.2.0/24", v2, ""},
		"a stranger without one":                {ProxyAccept, "192.0.2.0/24", "", "127.0.0.1"},
		"a stranger where it is required":       {ProxyRequire, "192.0.2.0/24", v1, ""},
		"a stranger without, it is required":    {ProxyRequire, "192.0.2.0/24", "", ""},
		"a client that is itself a proxy of us": {ProxyAccept, "127.0.0.0/8", "PROXY TCP4 127.0.0.9 10.0.0.1 50000 7700\r\n", "127.0.0.9"},
	} {
		for _, way := range []string{"plain", "TLS"} {
			t.Run(name+", "+way, func(t *testing.T) {
				peers := make(chan string, 1)
				at := Listener{ProxyProtocol: c.mode}
				if way == "TLS" {
					at.TLS = secure(t)
				}
				s := open(t, &house{trusted: netip.MustParsePrefix(c.trusted)}, func(_ http.ResponseWriter, r *http.Request) {
					host, _, _ := net.SplitHostPort(r.RemoteAddr)
					peers <- host
				}, at)
				var conn net.Conn = dial(t, s.addr)
				_, _ = io.WriteString(conn, c.header) // a closed connection may refuse it
				if way == "TLS" {
					conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
				}
				got := exchange(conn, closing)
				if c.client == "" {
					if got != "" || len(peers) > 0 {
						t.Errorf("the client got %q, %d requests were served", got, len(peers))
					}
					return
				}
				if statusOf(got) != 200 {
					t.Fatalf("the client got %q", got)
				}
				if peer := <-peers; peer != c.client {
					t.Errorf("the handler got %q", peer)
				}
			})
		}
	}
}

func TestWithoutThePROXYProtocolItsHeaderIsAMalformedRequest(t *testing.T) {
	s := open(t, &house{trusted: netip.MustParsePrefix("127.0.0.0/8")}, func(http.ResponseWriter, *http.Request) {}, Listener{})
	if got := raw(t, s.addr, "PROXY TCP4 203.0.113.7 10.0.0.1 50000 7700\r\n"+closing); statusOf(got) != 400 {
		t.Errorf("the client got %q", got)
	}
}

// A header that does not come holds up nobody else, and its connection ends
// with header_timeout.
func TestAPROXYHeaderThatDoesNotEndIsClosed(t *testing.T) {
	s := open(t, &house{trusted: netip.MustParsePrefix("127.0.0.0/8")}, func(http.ResponseWriter, *http.Request) {},
		Listener{ProxyProtocol: ProxyRequire, HeaderTimeout: time.Second})
	slow := dial(t, s.addr)
	_, _ = io.WriteString(slow, "PROXY TCP4 203")
	if got := raw(t, s.addr, "PROXY TCP4 203.0.113.7 10.0.0.1 50000 7700\r\n"+closing); statusOf(got) != 200 {
		t.Errorf("another client got %q", got)
	}
	if got, err := io.ReadAll(slow); err != nil && strings.Contains(err.Error(), "timeout") || len(got) > 0 {
		t.Errorf("the slow one got %q, %v", got, err)
	}
}
