package access

// mayBeLegacy reports whether some call without a token may pass from c's address.
func (p *Policy) mayBeLegacy(c Caller) bool {
	return len(p.LegacyAddrs)+len(p.LegacyApps) > 0 && (len(p.LegacyAddrs) == 0 || Within(p.LegacyAddrs, c.Addr))
}

// judgeLegacy is Judge for a call without token and app id headers, as 4.x clients make it.
func (p *Policy) judgeLegacy(c Caller) Reason {
	if !p.mayBeLegacy(c) {
		return LegacyClient
	}
	if c.AppsErr != nil {
		return c.names("")
	}
	id := string(c.Apps.Named) // the one that the server reads, if it reads any
	name := c.Names.NameOf(c.Group, id)
	switch {
	case len(p.LegacyApps)+len(p.Apps) > 0 && c.Apps.Read == nil && c.listsThings():
		return LegacyClient // it would get the list of all apps
	case len(p.LegacyApps) > 0 && !lists(p.LegacyApps, id, name):
		// fetchInstanceStatus and fetchInstanceInfo name no app.
		if id != "" || len(p.LegacyAddrs) == 0 || !c.readsOne() {
			return LegacyClient
		}
	case !p.allows(id, name):
		return AppNotAllowed
	}
	return Passed
}
