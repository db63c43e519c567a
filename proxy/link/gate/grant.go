package gate

import (
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// callerOf is what is known of a call's caller before its body is read.
func (g Gate) callerOf(r *http.Request, ex *exchange.Exchange) access.Caller {
	c := access.Caller{
		Now: ex.Received, Addr: ex.ClientAddr(), Call: ex.Call,
		Tokens: r.Header[openapi.TokenKey], AppIDs: r.Header[openapi.AppIDKey],
		Names: g.Tokens, Group: ex.Group.Name,
	}
	if ex.Call == nil || ex.Call.Kind != openapi.Login {
		c.Grant = g.grantOf(r, ex)
	}
	return c
}

// grantOf returns what the request's token stands for; nil: nothing known.
func (g Gate) grantOf(r *http.Request, ex *exchange.Exchange) *access.Grant {
	if !ex.Granted {
		ex.Grant, ex.Granted = g.findGrant(r, ex), true
	}
	return ex.Grant
}

func (g Gate) findGrant(r *http.Request, ex *exchange.Exchange) *access.Grant {
	token := ex.Token(r)
	if token == (access.Token{}) {
		return nil
	}
	issuer := ex.Group.Issuer
	grant := g.Tokens.Find(token, ex.Group.Name, issuer)
	if grant == nil && issuer != nil {
		if grant = issuer.Verify(r.Header.Get(openapi.TokenKey)); grant != nil {
			g.Tokens.Add(token, *grant)
		}
	}
	if grant == nil && issuer == nil && g.Shared != nil { // of a login on another replica
		if t, ok := g.Shared.FindToken(ex.Group.Name, token); ok {
			grant = &access.Grant{Group: ex.Group.Name, App: t.App, Name: t.Name, Since: t.Since}
			g.Tokens.Add(token, *grant)
			g.Tokens.Name(ex.Group.Name, t.App, t.Name)
		}
	}
	return grant
}
