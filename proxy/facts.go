package proxy

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"
	"time"

	"powerjob-shim/proxy/body"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// Facts are what the links find out about a request.
type Facts struct {
	snap     *snapshot // the configuration for the whole of this request
	id       string    // X-Request-Id
	received time.Time // when its header had been read

	pace body.Pace // of its body

	// client is the caller's address after trusted_proxies. clientTrusted
	// tells whether it is a real client's, as far as the configuration tells;
	// it is false where a trusted proxy did not name whom it speaks for.
	client        netip.Addr
	clientTrusted bool
	peerTrusted   bool // the connection comes from a trusted proxy
	introduces    bool // the caller is doctor, and asks who is on the way

	route string
	group *group
	// target is the request target for the server, byte for byte.
	target string
	path   string        // as a server routes it, context path cut off: "/openApi/saveJob"
	call   *openapi.Call // nil when it is not an OpenAPI call
	match  rules.Matched

	// outside: the path ends as a known call's, and is not under the group's
	// prefix: no rule sees it.
	outside bool

	// ambiguous: path is as it came, because servers may read it differently.
	ambiguous bool

	origin origin // see findOrigin

	fingerprint   access.Token // see token
	fingerprinted bool
	grant         *access.Grant // what its token stands for; nil: nothing known
	granted       bool          // grant has been looked for

	// body is the request's, where hold could hold it; else unheld, one of the
	// bypass reasons, says why not. Both are empty where no link looks at it.
	body   []byte
	unheld string
}

// callName is the label for logs and metrics.
func (f *Facts) callName() string {
	if f.call == nil {
		return "other"
	}
	return f.call.Name
}

// underOpenAPI reports whether the path is one of OpenAPI calls, known or not.
func (f *Facts) underOpenAPI() bool { return strings.HasPrefix(f.path, openapi.Prefix) }

// underServer reports whether workers ask this path: their discovery
// of servers.
func (f *Facts) underServer() bool {
	rest, ok := strings.CutPrefix(f.path, strings.TrimSuffix(f.group.settings.Prefix(), "/openApi"))
	return ok && !f.ambiguous && strings.HasPrefix(rest, "/server/")
}

// harmless reports whether a request may be sent again though a server may have
// executed it: a call that changes nothing, or a login, which gives out one more
// token. OkHttp would send it again by itself, and a client with several servers
// to the next of them.
//
// Other requests are not: the web UI has GETs that change something (/job/run).
func (f *Facts) harmless() bool { return f.call != nil && f.call.Kind != openapi.Change }

// patience is how long a server may take until its answer's header.
func (f *Facts) patience() time.Duration {
	if f.underOpenAPI() {
		return f.group.settings.Timeout
	}
	return f.group.settings.StreamLimit()
}

// noted reports whether the dedup store is told of r, the exchange's request: of
// every call but a login, known or not, since its client may repeat it, and of what
// a dedup rule names besides.
func (f *Facts) noted(r *http.Request) bool {
	if kind, ok := openapi.KindOf(f.path); ok && kind == openapi.Read {
		return r.Method == http.MethodPost
	}
	return (f.match.Dedup != nil || f.underOpenAPI()) && rules.Repeatable(r.Method, f.path)
}

// clientAddr is the address for the store and for warnings; invalid where the
// client's own is not known.
func (f *Facts) clientAddr() netip.Addr {
	if f.clientTrusted {
		return f.client
	}
	return netip.Addr{}
}

// The request headers of 5.x clients as net/http stores them.
var (
	tokenKey = textproto.CanonicalMIMEHeaderKey(openapi.TokenHeader)
	appIDKey = textproto.CanonicalMIMEHeaderKey(openapi.AppIDHeader)
)

// token returns the fingerprint of the token that r, the exchange's request,
// carries; zero: none.
func (f *Facts) token(r *http.Request) access.Token {
	if !f.fingerprinted {
		f.fingerprint, f.fingerprinted = access.Fingerprint(first(r.Header[tokenKey])), true
	}
	return f.fingerprint
}

// first returns the first value of a header, "" without one.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
