package wire

import (
	"powerjob-shim/internal/config"
	"powerjob-shim/rules/access"
)

// accessFrom makes the gate's policy.
func accessFrom(a *config.Auth) access.Policy {
	p := access.Policy{
		TokenTTL:    a.TokenTTL,
		LegacyAddrs: a.LegacyClients.Allow, LegacyApps: a.LegacyClients.Apps,
		Addrs: a.Allow.CIDRs, Apps: a.Allow.Apps,
		Block: a.Block,
	}
	switch a.Mode {
	case config.ModeObserve:
		p.Mode = access.Observe
	case config.ModeEnforce:
		p.Mode = access.Enforce
	}
	return p
}

// bridgeFrom makes the login bridge's settings. Nil: the bridge is off.
func bridgeFrom(b *config.LoginBridge) *access.IssuerSettings {
	if b == nil {
		return nil
	}
	s := &access.IssuerSettings{Apps: make(map[string]string, len(b.Apps)), Secret: string(b.Secret), TTL: b.TokenTTL}
	for _, app := range b.Apps {
		s.Apps[app.Name] = string(app.Password)
	}
	return s
}
