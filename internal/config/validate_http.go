package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/rules/openapi"
)

// isHostName accepts the letters of DNS names, and the underscore of Docker's.
func isHostName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			default:
				return false
			}
		}
	}
	return true
}

// isAuthority accepts the values of a Host header: a name or an address, with or
// without a port.
func isAuthority(host string) bool {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || strings.HasSuffix(host, ":") {
		return false
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || n == 0) {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil || isHostName(strings.TrimSuffix(u.Hostname(), "."))
}

// hosts checks names that requests are compared with.
func (v *validator) hosts(path string, hosts []string) {
	for i, host := range hosts {
		address := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if _, err := netip.ParseAddr(address); err == nil || isHostName(strings.TrimPrefix(host, "*.")) {
			continue
		}
		if host == "*" {
			v.bad(index(path, i), "%q is not needed; take hosts away for every host", host)
			continue
		}
		v.bad(index(path, i), "%q is not a host; write a name, *.name or an address, without a port", host)
	}
	v.distinct(path, hosts)
}

// paths checks the paths that requests are compared with. A request's path is
// first read as a Spring server reads it, so that some paths can never match.
func (v *validator) paths(path string, paths []string) {
	if len(paths) == 0 {
		v.bad(path, `is empty; write for example ["/openApi/*"]`)
	}
	for i, p := range paths {
		v.path(index(path, i), p)
	}
	v.distinct(path, paths)
}

func (v *validator) path(at, p string) {
	plain := strings.TrimSuffix(p, "*")
	switch {
	case !strings.HasPrefix(p, "/"):
		v.bad(at, "%q must begin with /", p)
	case strings.Contains(plain, "*"):
		v.bad(at, "%q may have * only at its end", p)
	case strings.ContainsAny(plain, "?#;%\\"):
		v.bad(at, "%q never matches: paths are compared decoded, without query and path parameters", p)
	case strings.Contains(plain, "//"), strings.Contains(plain+"/", "/./"), strings.Contains(plain+"/", "/../"):
		v.bad(at, "%q never matches: a server refuses //, /./ and /../", p)
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }):
		v.bad(at, "%q has a control character", p)
	}
}

// serverURL checks an upstream server's URL. It returns the URL in a normal form:
// servers with the same one are the same.
func (v *validator) serverURL(path, server string) string {
	const example = "write for example http://10.0.0.1:7700"
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Opaque != "":
		v.bad(path, "%q is not a URL; %s", server, example)
		return server
	case u.Scheme != "http" && u.Scheme != "https":
		v.bad(path, "%q does not begin with http:// or https://; %s", server, example)
		return server
	case u.User != nil:
		v.bad(path, "has a user or password in its URL, which no PowerJob server reads; take them out")
		return server
	case strings.ContainsAny(server, "?#"):
		v.bad(path, "%q has a query or fragment; write %s://%s", server, u.Scheme, u.Host)
		return server
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !isHostName(strings.TrimSuffix(u.Hostname(), ".")) {
		v.bad(path, "%q has no valid host; %s", server, example)
		return server
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) || strings.HasSuffix(u.Host, ":") {
		v.bad(path, "%q has no port from 1 to 65535; %s", server, example)
		return server
	}
	context := contextOf(u)
	switch before, _, isCall := strings.Cut(context, "/openApi/"); {
	case isCall:
		v.bad(path, "%q has the path of a call; write %s://%s%s", server, u.Scheme, u.Host, before)
	case context != "" && !isPlainPath(context):
		v.bad(path, "%q has a path that can be read as more than one; write plain segments, for example %s://%s/pj", server, u.Scheme, u.Host)
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + context
}

// isPlainPath accepts paths of whole segments that every server reads alike.
func isPlainPath(path string) bool {
	routed, err := openapi.RoutePath(path)
	return err == nil && routed == path && !strings.ContainsAny(path, "*?#")
}

// segments checks a prefix that is put in front of paths or cut off them, and
// reports whether it is valid. An empty prefix is not reported, but not ok either.
func (v *validator) segments(path, prefix string) (ok bool) {
	if prefix == "" {
		return false
	}
	switch plain := strings.Trim(prefix, "/*"); {
	case plain == "":
		v.bad(path, "%q has no segment; write for example /pj, or remove the key", prefix)
	case prefix[0] != '/':
		v.bad(path, "%q must begin with /; write /%s", prefix, prefix)
	case strings.HasSuffix(prefix, "*"):
		v.bad(path, "%q has a *; write whole segments: /%s", prefix, plain)
	case !isPlainPath(strings.TrimSuffix(prefix, "/")):
		v.bad(path, "%q can be read as more than one path; write plain segments, for example /pj", prefix)
	default:
		return true
	}
	return false
}

// framing are the headers that HTTP itself sets; a rule that writes one would break the answer.
var framing = map[string]bool{
	"connection": true, "content-length": true, "keep-alive": true, "proxy-connection": true,
	"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
}

func (v *validator) header(path string, h *RuleHeader) {
	switch {
	case h.Name == "":
		v.bad(path+".name", "is missing; write for example X-POWERJOB-AUTH-PASSED")
	case !httpguts.ValidHeaderFieldName(h.Name):
		v.bad(path+".name", "%q is not a header's name; write letters, digits and -", h.Name)
	case framing[strings.ToLower(h.Name)]:
		v.bad(path+".name", "%s is set by HTTP itself; choose another header", h.Name)
	}
	if !httpguts.ValidHeaderFieldValue(h.Value) || strings.TrimSpace(h.Value) != h.Value {
		v.bad(path+".value", "%q is not a header's value; take out control characters and spaces at its ends", h.Value)
	}
}
