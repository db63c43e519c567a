package exchange

import (
	"net/http"
	"net/url"
	"strings"
)

// SetTarget sets u so that the request target is written exactly as ex.Target; the sender
// fills in scheme and host. net/url would re-encode some characters, and ReverseProxy has
// re-encoded a query with ";".
func (ex *Exchange) SetTarget(u *url.URL, host string) {
	if !strings.HasPrefix(ex.Target, "//") {
		*u = url.URL{Opaque: ex.Target}
		return
	}
	// An opaque part with two slashes would be written in absolute-form. The parsed
	// path usually gives the same bytes. If net/url must re-encode some, absolute-form
	// is used.
	parsed, err := url.ParseRequestURI(ex.Target)
	if err == nil && parsed.Host == "" && parsed.RequestURI() == ex.Target {
		*u = url.URL{Path: parsed.Path, RawPath: parsed.RawPath, RawQuery: parsed.RawQuery, ForceQuery: parsed.ForceQuery}
		return
	}
	*u = url.URL{Opaque: "//" + host + ex.Target}
}

// RequestURI returns the request target in origin-form, byte for byte as it came. Of a
// target in absolute-form (RFC 9112, 3.2.2) it is the part after the authority.
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
