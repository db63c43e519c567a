package configs

import (
	"maps"
	"slices"
)

// unavailable reports keys that are decoded and checked, but that this build
// does nothing with: to ignore one would be worse than to refuse it. A line
// goes when its feature comes.
func (v *validator) unavailable() {
	const takeAway = "take it away"
	for _, name := range slices.Sorted(maps.Keys(v.cfg.Upstreams)) {
		path, u := join("upstreams", name), v.cfg.Upstreams[name]
		v.notBuilt(u.TLS != nil, path+".tls", takeAway)
		v.notBuilt(u.MaxConnections > 0, path+".max_connections", takeAway)
		v.notBuilt(u.MaxRequests > 0, path+".max_requests", takeAway)
		v.notBuilt(u.Health != nil, path+".health", takeAway)
	}
}

func (v *validator) notBuilt(used bool, path, instead string) {
	if used {
		v.bad(path, "is not available in this build; %s", instead)
	}
}
