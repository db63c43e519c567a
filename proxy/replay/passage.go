package replay

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/recorder"
	"powerjob-shim/proxy/head"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// passage is one call's way through the store. All that this takes is one object.
type passage struct {
	*Replayer
	ex       *exchange.Exchange
	call     dedup.Call
	subject  [1]openapi.Subject // room for what most calls are about
	underway underway           // see overlaps

	// What a leader needs besides, see lead.
	reason string
	makes  bool // see openapi.Call.Makes
	rec    recorder.Recorder
	kept   archive.Header
	taken  int64 // bytes of Replayer.answers

	passing passing   // see pass
	values  [3]string // room for the header of a replay
}

// newPassage describes r, the request of ex, to the store. A request whose body is not
// held here may change anything, equals only others of its length, and never gets
// another call's answer.
func (rp *Replayer) newPassage(r *http.Request, ex *exchange.Exchange, window time.Duration) *passage {
	p := &passage{Replayer: rp, ex: ex}
	contentType, method, body := head.Get(r.Header, "Content-Type"), r.Method, ex.Body
	if ex.Unheld != "" {
		method += " unheld" // no request has such a method
		body = strconv.AppendInt(nil, r.ContentLength, 10)
	}
	call := &p.call
	*call = dedup.Call{
		Group: ex.Group.Name,
		App:   strings.Clone(head.Get(r.Header, openapi.AppIDKey)), // it may be kept; the header's text is long
		Token: ex.Token(r),
		// Until the upstream's answer is in, and a while for what comes after.
		Lease:  ex.Group.Settings.Timeout + time.Minute,
		Window: window,
		Addr:   ex.ClientAddr(),
		Agent:  openapi.AgentOf(head.Get(r.Header, "User-Agent")),
	}
	if ex.Group.Settings.Timeout == 0 {
		call.Lease = 0
	}
	call.Key = dedup.KeyParts{
		Group: call.Group, Method: method, Path: ex.Path, RawQuery: r.URL.RawQuery,
		ContentType: contentType, App: call.App, Origin: strings.Join(r.Header["Origin"], "\n"), Body: body,
	}.Key()
	switch {
	case ex.Call == nil:
		if kind, _ := openapi.KindOf(ex.Path); kind != openapi.Read {
			call.Subjects = openapi.OfUnlisted
		}
	case ex.Unheld != "":
		call.Subjects.Unknown = ex.Call.Kind == openapi.Change
	default:
		call.Subjects = ex.Call.AppendSubjects(p.subject[:0], contentType, r.URL.RawQuery, body)
	}
	if rule := ex.Match.Dedup; rule != nil {
		call.Dedup, call.Window = ex.Unheld == "", rule.Window
		call.Body = rule.Match == rules.MatchBody
		call.Observe = rule.Observe || ex.Snap.Dedup.Observe || ex.Snap.Observing
	}
	call.Issued = call.Token != (access.Token{}) && rp.Tokens.Find(call.Token, ex.Group.Name, ex.Group.Issuer) != nil
	return p
}
