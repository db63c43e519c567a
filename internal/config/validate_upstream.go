package config

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
)

func (v *validator) upstreams() {
	if len(v.cfg.Upstreams) == 0 && !v.templates {
		v.bad("upstreams", `no upstream server is given; write --upstream http://HOST:7700, or in a file upstreams: {default: {servers: ["http://HOST:7700"]}}`)
	}
	for _, name := range slices.Sorted(maps.Keys(v.cfg.Upstreams)) {
		u := v.cfg.Upstreams[name]
		v.upstream(join("upstreams", name), name, &u)
	}
}

func (v *validator) upstream(path, name string, u *Upstream) {
	if !groupName.MatchString(name) || len(name) > 64 {
		v.bad(path, "is not a name for a group; write small letters and digits, with single - or _ between them")
	}
	v.servers(path, u)
	v.contextPath(path, u)
	v.host(path+".host", u.Host)
	if v.given(path + ".openapi_prefix") {
		v.openAPIPrefix(path+".openapi_prefix", u.OpenAPIPrefix)
	}
	if u.Health != nil {
		v.health(path+".health", u.Health)
	}
	if u.LoginBridge != nil {
		v.loginBridge(path+".login_bridge", u.LoginBridge)
	}
}

// servers checks the addresses of a group, and the TLS to them.
func (v *validator) servers(path string, u *Upstream) {
	switch {
	case v.templates && len(u.Servers) > 0:
		v.bad(path+".servers", "cannot be given here: they come from elsewhere; remove the key")
	case !v.templates && len(u.Servers) == 0:
		v.bad(path+".servers", `is empty; write for example ["http://10.0.0.1:7700"]`)
	}
	same := make([]string, len(u.Servers))
	for i, server := range u.Servers {
		same[i] = v.serverURL(index(path+".servers", i), server)
		if v.isOwn(server) {
			v.bad(index(path+".servers", i), "%q is where the shim itself listens; write the PowerJob server's address", server)
		}
	}
	v.distinct(path+".servers", same)
	if u.TLS == nil {
		return
	}
	v.upstreamTLS(path+".tls", u.TLS)
	if !v.templates && !slices.ContainsFunc(same, func(s string) bool { return strings.HasPrefix(s, "https:") }) {
		v.bad(path+".tls", "none of the servers begins with https://; write one so, or take tls away")
	}
}

// isOwn reports whether a server's address is clearly one of the shim's own: every
// request would come back to the shim until it has no resources left.
func (v *validator) isOwn(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(v.cfg.Listen, func(l Listener) bool {
		host, port, err := net.SplitHostPort(l.Address)
		if err != nil || port == "0" || port != u.Port() {
			return false
		}
		everywhere := host == "" || host == "0.0.0.0" || host == "::"
		local := u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1"
		return host == u.Hostname() || everywhere && local
	})
}

// host checks the Host header for a group's servers. It refuses "Keep" and
// "UPSTREAM", which would be sent as names.
func (v *validator) host(path, host string) {
	for _, word := range []string{HostKeep, HostUpstream} {
		if host != word && strings.EqualFold(strings.TrimSpace(host), word) {
			v.bad(path, "%q is not known; write %s", host, word)
			return
		}
	}
	if !isAuthority(host) {
		v.bad(path, "%q is not a host; write %s, %s, or the name that the servers know, such as powerjob.example.com or powerjob.example.com:7700",
			host, HostKeep, HostUpstream)
	}
}

// contextPath checks that all servers' URLs have the same context path, and
// openapi_prefix too.
func (v *validator) contextPath(path string, u *Upstream) {
	context := u.ContextPath()
	for i, text := range u.Servers {
		if server, err := url.Parse(text); err == nil && contextOf(server) != context {
			v.bad(index(path+".servers", i), "%q has another context path than %q; write servers with another path into a group of their own", text, u.Servers[0])
		}
	}
	if len(u.Servers) == 0 {
		return
	}
	first, err := url.Parse(u.Servers[0])
	if err != nil || strings.Trim(first.Path, "/") == "" {
		return
	}
	if want := context + "/openApi"; strings.TrimSuffix(u.OpenAPIPrefix, "/") != want {
		v.bad(path+".openapi_prefix", "%q is not where the servers of %q have it; remove it, or write %s", u.OpenAPIPrefix, u.Servers[0], want)
	}
}

func (v *validator) openAPIPrefix(path, prefix string) {
	if !strings.HasSuffix(prefix, "/openApi") {
		v.bad(path, "%q must end in /openApi; write for example /x/openApi for the context path /x", prefix)
		return
	}
	v.path(path, prefix)
}

func (v *validator) health(path string, h *Health) {
	if h.Active == nil && h.Passive == nil {
		v.bad(path, "is empty; write active: {} or passive: {} for their defaults, or take it away")
	}
	if a := h.Active; a != nil && a.Interval > 0 && a.Timeout > a.Interval {
		v.bad(path+".active.timeout", "%s is longer than the interval (%s)", formatDuration(a.Timeout), formatDuration(a.Interval))
	}
	if p := h.Passive; p != nil && p.MaxEject < p.Eject {
		v.bad(path+".passive.max_eject", "%s is shorter than eject (%s)", formatDuration(p.MaxEject), formatDuration(p.Eject))
	}
}

func (v *validator) loginBridge(path string, b *LoginBridge) {
	if len(b.Apps) == 0 {
		v.bad(path+".apps", "is empty; write for example [{name: my-app, password_file: /run/secrets/my-app}]")
	}
	names := make([]string, len(b.Apps))
	for i, app := range b.Apps {
		names[i] = app.Name
		if app.Name == "" {
			v.bad(index(path+".apps", i)+".name", "is missing; write the app's name as registered in PowerJob")
		}
	}
	v.distinct(path+".apps", names)
}
