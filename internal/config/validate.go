package config

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Bounds on the time that validation takes: each listener is compared with each
// other one, and each route with every pair of host and path.
const (
	maxListeners  = 100
	maxRoutePairs = 10_000
)

// validate reports everything that has the right type but cannot work.
func validate(cfg *Config, src Source, at places, r *report) {
	v := &validator{cfg, at, r, src.Templates}
	v.listeners()
	if !src.NoServersYet || len(cfg.Upstreams) > 0 {
		v.upstreams()
	}
	v.routes()
	v.rules()
	v.dedup()
	v.auth()
	v.keys()
}

type validator struct {
	cfg    *Config
	places places
	report *report

	templates bool // see Source.Templates
}

func (v *validator) bad(path, format string, args ...any) {
	v.report.add(v.places.of(path), path, format, args...)
}

func (v *validator) given(path string) bool { _, ok := v.places[path]; return ok }

// distinct reports items that are in a list twice.
func (v *validator) distinct(path string, list []string) {
	seen := make(map[string]bool, len(list))
	for i, item := range list {
		if seen[item] {
			v.bad(index(path, i), "%q stands in the list twice; keep one", item)
		}
		seen[item] = true
	}
}

func (v *validator) listeners() {
	if len(v.cfg.Listen) == 0 {
		v.bad("listen", `is empty; write for example [{address: ":7700"}]`)
	}
	if len(v.cfg.Listen) > maxListeners {
		v.bad("listen", "has %d listeners; write at most %d", len(v.cfg.Listen), maxListeners)
		return
	}
	for i := range v.cfg.Listen {
		v.listener(index("listen", i), &v.cfg.Listen[i])
	}
	v.address("admin.address", v.cfg.Admin.Address, "127.0.0.1:9700")
	v.tokenFile("admin.token_file", v.cfg.Admin.TokenFile)
	v.collisions()
}

func (v *validator) listener(path string, l *Listener) {
	v.address(path+".address", l.Address, ":7700")
	if (l.ProxyProtocol == ProxyAccept || l.ProxyProtocol == ProxyRequire) && len(v.cfg.TrustedProxies) == 0 {
		v.bad(path+".proxy_protocol", "needs trusted_proxies: only a balancer's own address may name the client; write for example trusted_proxies: [10.0.0.0/8]")
	}
	if l.TLS != nil {
		v.tls(path+".tls", l.TLS)
	}
	if l.Redirect == nil {
		return
	}
	if l.TLS != nil {
		v.bad(path+".redirect", "is for a plain listener; take it away, or tls")
	}
	if p := l.Redirect.Port; p < 1 || p > 65535 {
		v.bad(path+".redirect.port", "%d is not a port; write 1 to 65535", p)
	}
}

// collisions checks that all listeners can be bound at once.
func (v *validator) collisions() {
	type bound struct{ path, address string }
	var all []bound
	for i, l := range v.cfg.Listen {
		all = append(all, bound{index("listen", i) + ".address", l.Address})
	}
	all = append(all, bound{"admin.address", v.cfg.Admin.Address})
	for i, a := range all {
		for _, b := range all[:i] {
			if collide(a.address, b.address) {
				v.bad(a.path, "%q is taken by %s (%q); choose another port", a.address, b.path, b.address)
				break
			}
		}
	}
}

// address checks a listening address; the host may be empty.
func (v *validator) address(path, address, example string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		v.bad(path, "%q is not host:port; write for example %q", address, example)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		v.bad(path, "%q has no port from 0 to 65535; write for example %q", address, example)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostName(host) {
		v.bad(path, "%q has no valid host; write for example %q", address, example)
	}
}

// collide reports whether two listeners cannot both be bound: they have the same
// port, and the same host or a wildcard.
func collide(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || strings.Trim(portA, "0") == "" {
		return false
	}
	wildcard := func(host string) bool { return host == "" || host == "::" || host == "0.0.0.0" }
	return hostA == hostB || wildcard(hostA) || wildcard(hostB)
}

func (v *validator) routes() {
	cfg := v.cfg
	if v.templates {
		if len(cfg.Routes) > 0 {
			v.bad("routes", "cannot be given here: they come from elsewhere; remove them")
		}
		return
	}
	groups := slices.Sorted(maps.Keys(cfg.Upstreams))
	if len(cfg.Routes) == 0 && len(groups) > 1 {
		v.bad("routes", "is needed to choose between %s; write for example [{name: main, paths: [\"/*\"], upstream: %s}]",
			strings.Join(groups, ", "), groups[0])
	}
	names, seen := map[string]string{}, targets{first: map[string]string{}}
	for i, route := range cfg.Routes {
		path := index("routes", i)
		v.uniqueName(path, route.Name, names)
		v.hosts(path+".hosts", route.Hosts)
		v.paths(path+".paths", route.Paths)
		v.prefixes(path, &route)
		switch _, known := cfg.Upstreams[route.Upstream]; {
		case known:
		case route.Upstream == "":
			v.bad(path+".upstream", "is missing; write one of %s", strings.Join(groups, ", "))
		default:
			v.bad(path+".upstream", "there is no upstream %q; write one of %s", route.Upstream, strings.Join(groups, ", "))
		}
		if !v.newTargets(path, &route, &seen) {
			return
		}
	}
}

// targets are the pairs of host and path that routes match.
type targets struct {
	first map[string]string // by "host path": the path of the route in the configuration
	pairs int               // how many, duplicates included
}

// newTargets checks that no earlier route matches the same host and path. False:
// there are too many pairs to go on.
func (v *validator) newTargets(path string, route *Route, seen *targets) bool {
	hosts := route.Hosts
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	if seen.pairs += len(hosts) * len(route.Paths); seen.pairs > maxRoutePairs {
		v.bad(path, "makes more than %d pairs of host and path; write fewer, a prefix or *.name covers many", maxRoutePairs)
		return false
	}
	for _, host := range hosts {
		for _, p := range route.Paths {
			target := strings.ToLower(host) + " " + p
			if first, taken := seen.first[target]; taken && first != path {
				v.bad(path, "matches the same host and path (%s %s) as %s; take one away", host, p, first)
			}
			seen.first[target] = path
		}
	}
	return true
}

// prefixes checks what a route does to paths.
func (v *validator) prefixes(path string, route *Route) {
	v.segments(path+".add_prefix", route.AddPrefix)
	if !v.segments(path+".strip_prefix", route.StripPrefix) || len(route.Paths) == 0 {
		return
	}
	strip := strings.TrimSuffix(route.StripPrefix, "/")
	// Some path of the route must be able to begin with it.
	if !slices.ContainsFunc(route.Paths, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return strings.HasPrefix(prefix+"/", strip+"/") || wild && strings.HasPrefix(strip, prefix)
	}) {
		v.bad(path+".strip_prefix", "no path of this route begins with %s; write paths: [%s, %s/*]", strip, strip, strip)
	}
}

// uniqueName checks the name of a route or rule, which becomes a metric's label.
func (v *validator) uniqueName(path, name string, seen map[string]string) {
	if name == "" {
		v.bad(path+".name", "is missing; write a short name, it stands in logs and metrics")
		return
	}
	if first, taken := seen[name]; taken {
		v.bad(path+".name", "%q is the name of %s already; choose another", name, first)
		return
	}
	if len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		v.bad(path+".name", "must be one word of at most 64 bytes")
	}
	seen[name] = path
}
