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
	for i, l := range v.cfg.Listen {
		path := index("listen", i)
		v.notBuilt(l.TLS != nil, path+".tls", takeAway)
		v.notBuilt(l.Redirect != nil, path+".redirect", takeAway)
	}
	for _, name := range slices.Sorted(maps.Keys(v.cfg.Upstreams)) {
		path, u := join("upstreams", name), v.cfg.Upstreams[name]
		v.notBuilt(u.TLS != nil, path+".tls", takeAway)
		v.notBuilt(u.MaxConnections > 0, path+".max_connections", takeAway)
		v.notBuilt(u.MaxRequests > 0, path+".max_requests", takeAway)
		v.notBuilt(u.Health != nil, path+".health", takeAway)
		v.notBuilt(u.LoginBridge != nil, path+".login_bridge", takeAway)
	}
	v.notBuilt(v.cfg.Dedup.Store == StoreRedis, "dedup.store", "write memory")
	v.notBuilt(v.cfg.Auth.Mode == ModeObserve || v.cfg.Auth.Mode == ModeEnforce, "auth.mode", "write off")
	v.notBuilt(len(v.cfg.Auth.Block) > 0, "auth.block", takeAway)
}

func (v *validator) notBuilt(used bool, path, instead string) {
	if used {
		v.bad(path, "is not available in this build; %s", instead)
	}
}
