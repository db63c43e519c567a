package proxy

import (
	"net/http"
	"strings"

	"powerjob-shim/proxy/upstream/connect"
)

// Words for [Upstream.Host]; every other value is a name.
const (
	HostKeep     = "keep"     // what the caller wrote
	HostUpstream = "upstream" // host and port of the server's own URL
)

// hostFor returns the Host header that requests to s carry; "": the caller's
// own, or, where there is no caller, the server's address.
func (u Upstream) hostFor(s *server) string {
	switch u.Host {
	case "", HostKeep:
		return ""
	case HostUpstream:
		return s.url.Host
	}
	return u.Host
}

// serverTLS is TLS with the name that servers are asked for: ServerName, else
// that of Host, else (empty) the URL's. Connections are shared by callers, so
// that a caller's own Host cannot be it.
func (u Upstream) serverTLS() connect.TLSFiles {
	t := u.TLS
	if t.ServerName == "" && u.Host != HostKeep && u.Host != HostUpstream {
		t.ServerName = bareHost(u.Host)
	}
	return t
}

// setHost makes host the one that out is for, in its target too where that has
// one (see setTarget): a server must go by the target's then (RFC 9112, 3.2.2).
func setHost(out *http.Request, host string) {
	if rest, ok := strings.CutPrefix(out.URL.Opaque, "//"+out.Host); ok {
		out.URL.Opaque = "//" + host + rest
	}
	out.Host = host
}
