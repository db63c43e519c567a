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
	// Dynamic says that servers come and go, so that there may be none. Requests are
	// then answered as if no server were healthy.
	Dynamic bool

	// Timeout is how long a server may take until the header of its answer. For calls
	// that dedup holds, and for runJob2, it runs to the answer's end, unless the answer
	// is an event stream. 0: no limit.
	Timeout time.Duration

	// StreamTimeout is for requests that are neither calls nor under a dedup rule:
	// pages, uploads, downloads. It runs from the sent request to the answer's header.
	// Before that, it is how long a server may go without reading any of an upload. The
	// answer's body may take any time. 0: 10 minutes.
	StreamTimeout time.Duration

	// IdleTimeout closes unused connections. It must be shorter than the
	// server's own: a server that closes a connection just as a call is
	// written leaves an unknown outcome. 0: 15 s (Tomcat closes after 60 s).
	IdleTimeout time.Duration

	// Host is the Host header of all requests to the servers, including health checks
	// and the login bridge's: HostKeep, HostUpstream or a name, with a port if the
	// header is to have one. A name is also the TLS server name, unless TLS.ServerName
	// is set. X-Forwarded-Host keeps the caller's Host. Empty: HostKeep.
	Host string

	// TLS is for https servers.
	TLS connect.TLSFiles

	// MaxConnections bounds the connections to each server, and MaxRequests the
	// requests in flight to the group, both including tunnels. Requests beyond either
	// are not sent. 0: no bound. Reloads do not reset the counts.
	MaxConnections, MaxRequests int

	Health Health

	// ContextPath is the beginning of all paths on the servers: "/x" or deeper,
	// without a slash at its end. Empty: none.
	ContextPath string

	// OpenAPIPrefix is "/x/openApi" if the servers run under /x and the callers' paths
	// already begin with /x. Empty: "/openApi" under ContextPath.
	OpenAPIPrefix string
}

// Special values of [Settings.Host]; any other value is a name.
const (
	HostKeep     = "keep"     // what the caller wrote
	HostUpstream = "upstream" // host and port of the server's own URL
)

const (
	// DefaultIdleTimeout is shorter than the idle timeouts of Tomcat (60 s) and
	// of the usual load balancers.
	DefaultIdleTimeout = 15 * time.Second

	// DefaultStreamTimeout is enough for the web UI's uploads and downloads.
	DefaultStreamTimeout = 10 * time.Minute
)

// Prefix returns the path under which the calls are, without a slash at its end.
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

// hostFor returns the Host header of requests to s; "": the caller's own, or the
// server's address if there is no caller.
func (u Settings) hostFor(s *Server) string {
	switch u.Host {
	case "", HostKeep:
		return ""
	case HostUpstream:
		return s.URL.Host
	}
	return u.Host
}

// serverTLS returns TLS with the server name filled in: ServerName, else the name in
// Host, else empty for the URL's. It cannot be a caller's Host, because callers share
// connections.
func (u Settings) serverTLS() connect.TLSFiles {
	t := u.TLS
	if t.ServerName == "" && u.Host != HostKeep && u.Host != HostUpstream {
		t.ServerName = hosts.Bare(u.Host)
	}
	return t
}

// setHost sets the Host of out, and changes it in the target too if that is in
// absolute-form: a server must then ignore the Host header (RFC 9112, 3.2.2).
func setHost(out *http.Request, host string) {
	if rest, ok := strings.CutPrefix(out.URL.Opaque, "//"+out.Host); ok {
		out.URL.Opaque = "//" + host + rest
	}
	out.Host = host
}
