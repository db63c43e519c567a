package config

import "time"

// applyDefaults fills in what default.yaml cannot: keys of list items and of
// groups whose names it does not know. given tells which paths have a value.
func applyDefaults(cfg *Config, given func(path string) bool) {
	for i := range cfg.Listen {
		defaultListener(index("listen", i), &cfg.Listen[i], given)
	}
	for name, u := range cfg.Upstreams {
		defaultUpstream(join("upstreams", name), &u, given)
		cfg.Upstreams[name] = u
	}
	for i := range cfg.Routes {
		path, route := index("routes", i), &cfg.Routes[i]
		set(given, path+".paths", &route.Paths, []string{"/*"})
		for name := range cfg.Upstreams {
			if len(cfg.Upstreams) == 1 {
				set(given, path+".upstream", &route.Upstream, name)
			}
		}
	}
	for i := range cfg.Rules {
		if d := cfg.Rules[i].Dedup; d != nil {
			path := index("rules", i) + ".dedup"
			set(given, path+".window", &d.Window, 5*time.Second)
			set(given, path+".mode", &d.Mode, ModeEnforce)
		}
	}
}

func set[T any](given func(string) bool, path string, value *T, def T) {
	if !given(path) {
		*value = def
	}
}

func defaultListener(path string, l *Listener, given func(string) bool) {
	set(given, path+".header_timeout", &l.HeaderTimeout, 10*time.Second)
	set(given, path+".body_timeout", &l.BodyTimeout, 30*time.Second)
	set(given, path+".min_body_rate", &l.MinBodyRate, 100)
	set(given, path+".stall_timeout", &l.StallTimeout, 30*time.Second)
	set(given, path+".idle_timeout", &l.IdleTimeout, 6*time.Minute)
	set(given, path+".proxy_protocol", &l.ProxyProtocol, ProxyOff)
	if l.Redirect != nil {
		set(given, path+".redirect.port", &l.Redirect.Port, 443)
	}
	t := l.TLS
	if t == nil {
		return
	}
	path += ".tls"
	set(given, path+".min_version", &t.MinVersion, "1.2")
	if t.Mode == TLSACME {
		set(given, path+".challenges", &t.Challenges, []string{"http-01", "tls-alpn-01"})
	}
	if t.Mode == TLSACME || t.Mode == TLSSelfSigned {
		set(given, path+".storage", &t.Storage, "/var/lib/powerjob-shim")
	}
}

func defaultUpstream(path string, u *Upstream, given func(string) bool) {
	set(given, path+".host", &u.Host, HostKeep)
	set(given, path+".unreachable", &u.Unreachable, UnreachableClose)
	set(given, path+".timeout", &u.Timeout, 30*time.Second)
	set(given, path+".stream_timeout", &u.StreamTimeout, 10*time.Minute)
	set(given, path+".idle_timeout", &u.IdleTimeout, 15*time.Second)
	set(given, path+".openapi_prefix", &u.OpenAPIPrefix, u.ContextPath()+"/openApi")
	set(given, path+".compat.run_job2", &u.Compat.RunJob2, CompatAuto)
	if u.Health != nil && u.Health.Active != nil {
		a, path := u.Health.Active, path+".health.active"
		set(given, path+".check", &a.Check, CheckAssert)
		set(given, path+".interval", &a.Interval, 5*time.Second)
		set(given, path+".timeout", &a.Timeout, 2*time.Second)
		if a.Interval > 0 && !given(path+".timeout") {
			a.Timeout = min(a.Timeout, a.Interval)
		}
		set(given, path+".unhealthy", &a.Unhealthy, 3)
		set(given, path+".healthy", &a.Healthy, 2)
	}
	if u.Health != nil && u.Health.Passive != nil {
		p, path := u.Health.Passive, path+".health.passive"
		set(given, path+".failures", &p.Failures, 5)
		set(given, path+".eject", &p.Eject, 10*time.Second)
		set(given, path+".max_eject", &p.MaxEject, 5*time.Minute)
	}
	if u.LoginBridge != nil {
		set(given, path+".login_bridge.token_ttl", &u.LoginBridge.TokenTTL, 168*time.Hour)
	}
}
