// Package wire builds the parts of a shim from its configuration: the proxy's
// settings, the shared store, certificates, listeners and the log.
package wire

import (
	"fmt"
	"net/url"

	"powerjob-shim/internal/config"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules"
)

// Settings makes the proxy's settings from a configuration.
func Settings(cfg *config.Config) (proxy.Settings, error) {
	set, err := Rules(cfg.Rules)
	if err != nil {
		return proxy.Settings{}, err
	}
	s := proxy.Settings{
		Upstreams:      make(map[string]proxy.Upstream, len(cfg.Upstreams)),
		Observing:      cfg.Mode == config.ModeObserve,
		Rules:          set,
		TrustedProxies: cfg.TrustedProxies,
		Dedup: proxy.DedupSettings{
			Observe:        cfg.Dedup.Mode == config.ModeObserve,
			MaxBody:        int64(cfg.Dedup.MaxBody),
			MaxAnswer:      int64(cfg.Dedup.MaxAnswer),
			MaxHeldAnswers: int64(cfg.Dedup.MaxHeldAnswers),
			Limits:         limits(cfg),
		},
		Access:    accessFrom(&cfg.Auth),
		MaxBody:   int64(cfg.MaxBody),
		ReadyAll:  cfg.Admin.Ready == config.ReadyAll,
		AccessLog: cfg.Log.Access,
		Shutdown:  proxy.Shutdown{Delay: cfg.Shutdown.Delay, Grace: cfg.Shutdown.Grace},
		Hash:      cfg.Hash(),
	}
	if text, err := cfg.YAML(); err == nil {
		s.Configuration = string(text)
	}
	for name, u := range cfg.Upstreams {
		var secure connect.TLSFiles
		if u.TLS != nil {
			secure = connect.TLSFiles(*u.TLS)
		}
		servers, err := parseServers(u.Servers)
		if err != nil {
			return proxy.Settings{}, fmt.Errorf("upstreams.%s.servers: %w", name, err)
		}
		s.Upstreams[name] = proxy.Upstream{
			Settings: upstream.Settings{
				Servers: servers, Host: u.Host, ContextPath: u.ContextPath(), OpenAPIPrefix: u.OpenAPIPrefix, TLS: secure,
				Timeout: u.Timeout, StreamTimeout: u.StreamTimeout, IdleTimeout: u.IdleTimeout,
				MaxConnections: u.MaxConnections, MaxRequests: u.MaxRequests, Health: healthFrom(u.Health),
			},
			AnswerUnreachable: u.Unreachable == config.UnreachableError,
			RunJob2:           runJob2(u.Compat.RunJob2),
			Bridge:            bridgeFrom(u.LoginBridge),
		}
	}
	for _, r := range cfg.Routes {
		s.Routes = append(s.Routes, proxy.Route{Name: r.Name, Hosts: r.Hosts, Paths: r.Paths, Upstream: r.Upstream, StripPrefix: r.StripPrefix, AddPrefix: r.AddPrefix})
	}
	return s, nil
}

func runJob2(word string) proxy.Compat {
	switch word {
	case config.CompatOff:
		return proxy.CompatOff
	case config.CompatLossy:
		return proxy.CompatLossy
	}
	return proxy.CompatAuto
}

func healthFrom(h *config.Health) upstream.Health {
	var health upstream.Health
	if h == nil {
		return health
	}
	if a := h.Active; a != nil {
		health.Active = &upstream.ActiveHealth{
			TCP: a.Check == config.CheckTCP, Interval: a.Interval, Timeout: a.Timeout, Unhealthy: a.Unhealthy, Healthy: a.Healthy,
		}
	}
	if p := h.Passive; p != nil {
		health.Passive = &upstream.PassiveHealth{Failures: p.Failures, Eject: p.Eject, MaxEject: p.MaxEject}
	}
	return health
}

func parseServers(addresses []string) ([]*url.URL, error) {
	servers := make([]*url.URL, len(addresses))
	for i, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		servers[i] = &url.URL{Scheme: u.Scheme, Host: u.Host} // the path is a setting of the group
	}
	return servers, nil
}

// Rules compiles a configuration's rules.
func Rules(list []config.Rule) (*rules.Set, error) {
	compiled := make([]rules.Rule, len(list))
	for i, r := range list {
		rule := rules.Rule{Name: r.Name, Methods: r.Method, Hosts: r.Hosts, Paths: r.Paths}
		if h := r.Header; h != nil {
			rule.Header = &rules.Header{Name: h.Name, Value: h.Value}
		}
		if d := r.Dedup; d != nil {
			rule.Dedup = &rules.Dedup{Match: rules.MatchResend, Window: d.Window, Observe: d.Mode == config.ModeObserve}
			if d.Match == config.MatchBody {
				rule.Dedup.Match = rules.MatchBody
			}
		}
		compiled[i] = rule
	}
	return rules.Compile(compiled)
}

var proxyProtocols = map[string]listen.ProxyProtocol{config.ProxyAccept: listen.ProxyAccept, config.ProxyRequire: listen.ProxyRequire}

// Listeners makes the listeners of a configuration, without their certificates.
func Listeners(list []config.Listener) []listen.Listener {
	all := make([]listen.Listener, len(list))
	for i, l := range list {
		all[i] = listen.Listener{
			Address: l.Address, MaxConnections: l.MaxConnections,
			HeaderTimeout: l.HeaderTimeout, BodyTimeout: l.BodyTimeout, IdleTimeout: l.IdleTimeout,
			MinBodyRate: int64(l.MinBodyRate), StallTimeout: l.StallTimeout, ProxyProtocol: proxyProtocols[l.ProxyProtocol],
		}
		if l.Redirect != nil {
			all[i].Redirect = &listen.Redirect{Port: l.Redirect.Port, OpenAPI: l.Redirect.OpenAPI}
		}
	}
	return all
}

// Servers returns the servers' URLs by group, for the log.
func Servers(cfg *config.Config) map[string][]string {
	servers := make(map[string][]string, len(cfg.Upstreams))
	for name, u := range cfg.Upstreams {
		servers[name] = u.Servers
	}
	return servers
}
