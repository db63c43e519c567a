package proxy

import (
	"net/http"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// callerOf is what shows of a call's caller before its body is read.
func (g Gate) callerOf(r *http.Request, ex *Exchange) access.Caller {
	c := access.Caller{
		Now: ex.received, Addr: ex.clientAddr(), Call: ex.call,
		Tokens: r.Header[tokenKey], AppIDs: r.Header[appIDKey],
		Names: g.Tokens, Group: ex.group.name,
	}
	if ex.call == nil || ex.call.Kind != openapi.Login {
		c.Grant = g.grantOf(r, ex)
	}
	return c
}

// grantOf returns what the request's token stands for; nil: nothing known.
func (g Gate) grantOf(r *http.Request, ex *Exchange) *access.Grant {
	if !ex.granted {
		ex.grant, ex.granted = g.findGrant(r, ex), true
	}
	return ex.grant
}

func (g Gate) findGrant(r *http.Request, ex *Exchange) *access.Grant {
	token := ex.token(r)
	if token == (access.Token{}) {
		return nil
	}
	issuer := ex.group.issuer
	grant := g.Tokens.Find(token, ex.group.name, issuer)
	if grant == nil && issuer != nil {
		if grant = issuer.Verify(r.Header.Get(tokenKey)); grant != nil {
			g.Tokens.Add(token, *grant)
		}
	}
	if grant == nil && issuer == nil && g.Shared != nil { // of a login on another replica
		if t, ok := g.Shared.FindToken(ex.group.name, token); ok {
			grant = &access.Grant{Group: ex.group.name, App: t.App, Name: t.Name, Since: t.Since}
			g.Tokens.Add(token, *grant)
			g.Tokens.Name(ex.group.name, t.App, t.Name)
		}
	}
	return grant
}
