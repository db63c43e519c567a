package exchange

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/head"
	"powerjob-shim/proxy/routing"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// Facts are what the links find out about a request.
type Facts struct {
	Snap     *routing.Snapshot // the configuration for the whole of this request
	ID       string            // X-Request-Id
	Received time.Time         // when its header had been read

	Pace body.Pace // of its body

	// Client is the caller's address after trusted_proxies. clientTrusted is false if a
	// trusted proxy did not name the address it forwards for: then Client is a proxy's.
	Client        netip.Addr
	clientTrusted bool
	PeerTrusted   bool // the connection comes from a trusted proxy
	Introduces    bool // the caller is doctor, and asks which shims are on the way

	Route string
	Group *routing.Group
	// Target is the request target for the server, byte for byte.
	Target string
	Path   string        // as a server routes it, without the context path: "/openApi/saveJob"
	Call   *openapi.Call // nil: not an OpenAPI call
	Match  rules.Matched

	// Outside says that the path ends like a known call's but is not under the group's
	// prefix, so that no rule applies to it.
	Outside bool

	// Ambiguous says that servers may read the path in several ways. Path is then
	// unchanged.
	Ambiguous bool

	origin origin // see FindOrigin

	fingerprint   access.Token // see Token
	fingerprinted bool
	Grant         *access.Grant // what its token entitles to; nil: not known
	Granted       bool          // Grant was looked up

	// Body is the request's body if it could be held; else Unheld is the bypass
	// reason that says why. Both are empty where no link needs the body.
	Body   []byte
	Unheld string
}

// CallName is the call's label in logs and metrics; "other" if the request is not a call.
func (f *Facts) CallName() string {
	if f.Call == nil {
		return "other"
	}
	return f.Call.Name
}

// UnderOpenAPI reports whether the path is that of an OpenAPI call, known or not.
func (f *Facts) UnderOpenAPI() bool { return strings.HasPrefix(f.Path, openapi.Prefix) }

// underServer reports whether the path is one by which workers find servers.
func (f *Facts) underServer() bool {
	rest, ok := strings.CutPrefix(f.Path, strings.TrimSuffix(f.Group.Settings.Prefix(), "/openApi"))
	return ok && !f.Ambiguous && strings.HasPrefix(rest, "/server/")
}

// Harmless reports whether a request may be sent again although a server may have
// executed it. That holds for calls that change nothing, and for logins, which only give
// out one more token. OkHttp would repeat them by itself, and a client with several
// servers would send them to the next.
//
// It does not hold for other requests: the web UI has GETs that change something
// (/job/run).
func (f *Facts) Harmless() bool { return f.Call != nil && f.Call.Kind != openapi.Change }

// Patience is how long a server may take until the header of its answer to a request
// that is streamed. A call that is held has the group's timeout, whatever its path.
func (f *Facts) Patience() time.Duration {
	if f.UnderOpenAPI() {
		return f.Group.Settings.Timeout
	}
	return f.Group.Settings.StreamLimit()
}

// Noted reports whether the dedup store must learn of r, the exchange's request. These
// are all POSTs of calls except logins, known or not, since clients may repeat them, and
// other requests that a dedup rule names.
func (f *Facts) Noted(r *http.Request) bool {
	if kind, ok := openapi.KindOf(f.Path); ok && kind == openapi.Read {
		return r.Method == http.MethodPost
	}
	return (f.Match.Dedup != nil || f.UnderOpenAPI()) && rules.Repeatable(r.Method, f.Path)
}

// ClientAddr is the client's own address; the zero Addr if only a proxy's is known.
func (f *Facts) ClientAddr() netip.Addr {
	if f.clientTrusted {
		return f.Client
	}
	return netip.Addr{}
}

// Token returns the fingerprint of the token that r, the exchange's request,
// carries; zero: none.
func (f *Facts) Token(r *http.Request) access.Token {
	if !f.fingerprinted {
		f.fingerprint, f.fingerprinted = access.Fingerprint(head.Get(r.Header, openapi.TokenKey)), true
	}
	return f.fingerprint
}
