package config

import (
	"strings"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/rules"
)

func (v *validator) rules() {
	if len(v.cfg.Rules) == 0 {
		v.bad("rules", `is empty, so that nothing would be done; take the key away for the default rules, `+
			`or write for example [{name: auth-passed, paths: ["/openApi/*"], header: {name: X-POWERJOB-AUTH-PASSED, value: "true"}}]`)
	}
	names := map[string]string{}
	for i, rule := range v.cfg.Rules {
		path := index("rules", i)
		v.uniqueName(path, rule.Name, names)
		v.methods(path+".method", rule.Method)
		v.hosts(path+".hosts", rule.Hosts)
		v.paths(path+".paths", rule.Paths)
		if rule.Header == nil && rule.Dedup == nil {
			v.bad(path, "does nothing; give it header: {...} or dedup: {...}")
		}
		if rule.Header != nil {
			v.header(path+".header", rule.Header)
		}
		if rule.Dedup != nil && rules.OnlyReads(rule.Paths) {
			v.bad(path+".paths", "names only reads and logins, which are never deduplicated; name calls that change something, such as /openApi/saveJob, or take dedup away")
		}
	}
}

func (v *validator) methods(path string, methods OneOrMore) {
	for i, m := range methods {
		at := index(path, i)
		if !v.given(at) { // written as a single string
			at = path
		}
		switch {
		case !httpguts.ValidHeaderFieldName(m): // both are tokens (RFC 9110, 5.6.2 and 9.1)
			v.bad(at, "%q is not a method; write for example POST", m)
		case m != strings.ToUpper(m):
			v.bad(at, "methods are case-sensitive; write %s", strings.ToUpper(m))
		}
	}
	v.distinct(path, methods)
}

// maxEntries bounds dedup.max_entries: the keys alone of so many take gigabytes.
const maxEntries = 10_000_000

func (v *validator) dedup() {
	d := &v.cfg.Dedup
	if d.MaxEntries > maxEntries {
		v.bad("dedup.max_entries", "%d is more than memory holds; write at most %d", d.MaxEntries, maxEntries)
	}
	if d.MaxAnswer > d.MaxBytes && d.MaxBytes > 0 {
		v.bad("dedup.max_answer", "%v is more than max_bytes (%v) has room for", d.MaxAnswer, d.MaxBytes)
	}
	if d.MaxAnswer > d.MaxHeldAnswers && d.MaxHeldAnswers > 0 {
		v.bad("dedup.max_held_answers", "%v has no room for one answer of max_answer (%v); write more", d.MaxHeldAnswers, d.MaxAnswer)
	}
	v.redis("dedup.redis", &d.Redis)
}

func (v *validator) redis(path string, c *Redis) {
	if v.cfg.Dedup.Store == StoreRedis && len(c.Addresses) == 0 {
		v.bad(path+".addresses", `is missing; write for example ["redis:6379"]`)
	}
	for i, address := range c.Addresses {
		if strings.HasPrefix(address, ":") || strings.HasSuffix(address, ":0") {
			v.bad(index(path+".addresses", i), "%q needs a host and a port; write for example redis:6379", address)
			continue
		}
		v.address(index(path+".addresses", i), address, "redis:6379")
	}
	v.distinct(path+".addresses", c.Addresses)
	if c.MasterName == "" && (c.SentinelUsername != "" || c.SentinelPassword != "") {
		v.bad(path+".master_name", "is missing beside what the sentinels ask for; write the name that they know, such as mymaster")
	}
	if c.MasterName != "" && c.Cluster {
		v.bad(path+".cluster", "a Cluster has no sentinels; keep cluster or master_name")
	}
	if c.KeyPrefix == "" || strings.ContainsAny(c.KeyPrefix, "{} \t\r\n") {
		v.bad(path+".key_prefix", "%q must be something without spaces and braces; write for example powerjob-shim:", c.KeyPrefix)
	}
	if c.TLS != nil {
		v.upstreamTLS(path+".tls", c.TLS)
	}
}

func (v *validator) auth() {
	a := &v.cfg.Auth
	v.appNames("auth.legacy_clients.apps", a.LegacyClients.Apps)
	v.appNames("auth.allow.apps", a.Allow.Apps)
	if len(a.Block) > 0 {
		v.paths("auth.block", a.Block)
	}
}

func (v *validator) appNames(path string, names []string) {
	for i, name := range names {
		if strings.TrimSpace(name) == "" {
			v.bad(index(path, i), "is empty; write an app's name as registered in PowerJob")
		}
	}
	v.distinct(path, names)
}
