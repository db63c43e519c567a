package upstream

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"

	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/hosts"
)

// Settings say what a group's servers are and how they are called.
type Settings struct {
	// Servers are base addresses: http or https, a host and a port, no path. At
	// least one, unless Dynamic.
	Servers []*url.URL
	// Dynamic: the servers come and go, and there may be none. Requests are then
	// answered as where no server is healthy.
	Dynamic bool

	// Timeout is how long a server may take until the header of its answer; until
	// its end for calls that dedup holds and for runJob2, unless it is an event
	// stream. 0: no limit.
	Timeout time.Duration

	// StreamTimeout is for what is no call and under no dedup rule: pages, uploads,
	// downloads. It runs from the sent request to the answer's header, and before that
	// it bounds how long a server may take nothing of an upload. The answer itself may
	// take any time. 0: 10 minutes.
	StreamTimeout time.Duration

	// IdleTimeout closes unused connections. It must be shorter than the
	// server's own: a server that closes a connection just as a call is
	// written leaves an unknown outcome. 0: 15 s (Tomcat closes after 60 s).
	IdleTimeout time.Duration

	// Host is the Host header of all requests to the servers, health checks and
	// the bridge's included: HostKeep, HostUpstream or a name, with a port where
	// it is to carry one. A name is also the one that https servers are asked
	// for, unless TLS.ServerName is set. X-Forwarded-Host keeps the caller's.
	// Empty: HostKeep.
	Host string

	// TLS is for https servers.
	TLS connect.TLSFiles

	// MaxConnections bounds the connections to each server, MaxRequests the
	// requests in flight to the group; tunnels count. Beyond either, nothing is
	// sent. 0: no bound. The bounds hold across reloads.
	MaxConnections, MaxRequests int

	Health Health

	// ContextPath is what all paths on the servers begin with: "/x" or deeper,
	// without a slash at its end. Empty: none.
	ContextPath string

	// OpenAPIPrefix is "/x/openApi" if the servers run under /x and the callers' paths
	// already begin with /x. Empty: "/openApi" under ContextPath.
	OpenAPIPrefix string
}

// Words for [Settings.Host]; every other value is a name.
const (
	HostKeep     = "keep"     // what the caller wrote
	HostUpstream = "upstream" // host and port of the server's own URL
)

const (
	// DefaultIdleTimeout is shorter than the idle timeouts of Tomcat (60 s) and
	// of the usual load balancers.
	DefaultIdleTimeout = 15 * time.Second

	// DefaultStreamTimeout is for uploads and downloads of what the web UI has.
	DefaultStreamTimeout = 10 * time.Minute
)

// Prefix returns where the calls are, without a slash at the end.
func (u Settings) Prefix() string {
	if u.OpenAPIPrefix == "" {
		return u.ContextPath + "/openApi"
	}
	return strings.TrimSuffix(u.OpenAPIPrefix, "/")
}

// StreamLimit is StreamTimeout, or its default.
func (u Settings) StreamLimit() time.Duration {
	return cmp.Or(u.StreamTimeout, DefaultStreamTimeout)
}

func (u Settings) idleLimit() time.Duration {
	return cmp.Or(u.IdleTimeout, DefaultIdleTimeout)
}

// hostFor returns the Host header that requests to s carry; "": the caller's
// own, or, where there is no caller, the server's address.
func (u Settings) hostFor(s *Server) string {
	switch u.Host {
	case "", HostKeep:
		return ""
	case HostUpstream:
		return s.URL.Host
	}
	return u.Host
}

// serverTLS is TLS with the name that servers are asked for: ServerName, else
// that of Host, else (empty) the URL's. Connections are shared by callers, so
// that a caller's own Host cannot be it.
func (u Settings) serverTLS() connect.TLSFiles {
	t := u.TLS
	if t.ServerName == "" && u.Host != HostKeep && u.Host != HostUpstream {
		t.ServerName = hosts.Bare(u.Host)
	}
	return t
}

// setHost makes host the one that out is for, in its target too where that is in
// absolute-form: a server must go by the target's then (RFC 9112, 3.2.2).
func setHost(out *http.Request, host string) {
	if rest, ok := strings.CutPrefix(out.URL.Opaque, "//"+out.Host); ok {
		out.URL.Opaque = "//" + host + rest
	}
	out.Host = host
}
