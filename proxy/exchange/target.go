package exchange

import (
	"net/http"
	"net/url"
	"strings"
)

// SetTarget makes u, of which the sender fills in scheme and host, write the
// request target exactly as the server is to get it. net/url would re-encode
// some characters, and ReverseProxy has re-encoded a query with ";".
func (ex *Exchange) SetTarget(u *url.URL, host string) {
	if !strings.HasPrefix(ex.Target, "//") {
		*u = url.URL{Opaque: ex.Target}
		return
	}
	// An opaque part with two slashes would be written in absolute-form. The
	// parsed path is the same bytes but for what net/url must re-encode; then
	// absolute-form it is.
	parsed, err := url.ParseRequestURI(ex.Target)
	if err == nil && parsed.Host == "" && parsed.RequestURI() == ex.Target {
		*u = url.URL{Path: parsed.Path, RawPath: parsed.RawPath, RawQuery: parsed.RawQuery, ForceQuery: parsed.ForceQuery}
		return
	}
	*u = url.URL{Opaque: "//" + host + ex.Target}
}

// RequestURI is the request target in origin-form, byte for byte as it came:
// what is left of an absolute-form one (RFC 9112, 3.2.2) after the authority.
func RequestURI(r *http.Request) string {
	uri := r.RequestURI
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			if rest[i] == '?' {
				return "/" + rest[i:]
			}
			return rest[i:]
		}
	}
	return "/"
}
