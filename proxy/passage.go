package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// passage is one call's way through the store. All that this takes is one object.
type passage struct {
	*Replayer
	ex       *Exchange
	call     dedup.Call
	subject  [1]openapi.Subject // room for what most calls are about
	underway underway           // see overlaps

	// What a leader needs besides, see lead.
	reason string
	makes  bool // see openapi.Call.Makes
	rec    Recorder
	kept   archive.Header
	taken  int64 // bytes of Replayer.answers

	passing passing   // see pass
	auth    [1]string // room for a replay's auth header
}

// newPassage describes r, the request of ex, to the store. One whose body is not held
// here may change anything, is equal only to others of its length, and gets nobody
// else's answer.
func (s *Replayer) newPassage(r *http.Request, ex *Exchange, window time.Duration) *passage {
	p := &passage{Replayer: s, ex: ex}
	contentType, method, body := r.Header.Get("Content-Type"), r.Method, ex.body
	if ex.unheld != "" {
		method += " unheld" // no request has such a method
		body = strconv.AppendInt(nil, r.ContentLength, 10)
	}
	call := &p.call
	*call = dedup.Call{
		Group: ex.group.name,
		App:   strings.Clone(r.Header.Get(appIDKey)), // it may be kept; the header's text is long
		Token: ex.token(r),
		// Until the upstream's answer is in, and a while for what comes after.
		Lease:  ex.group.settings.Timeout + time.Minute,
		Window: window,
		Addr:   ex.clientAddr(),
		Agent:  dedup.AgentOf(r.UserAgent()),
	}
	if ex.group.settings.Timeout == 0 {
		call.Lease = 0
	}
	call.Key = dedup.KeyParts{
		Group: call.Group, Method: method, Path: ex.path, RawQuery: r.URL.RawQuery,
		ContentType: contentType, App: call.App, Origin: strings.Join(r.Header["Origin"], "\n"), Body: body,
	}.Key()
	switch kind, _ := openapi.KindOf(ex.path); {
	case ex.call == nil && kind == openapi.Read:
	case ex.call == nil:
		call.Subjects = openapi.OfUnlisted
	case ex.unheld != "":
		call.Subjects.Unknown = ex.call.Kind == openapi.Change
	default:
		call.Subjects = ex.call.AppendSubjects(p.subject[:0], contentType, r.URL.RawQuery, body)
	}
	if rule := ex.match.Dedup; rule != nil {
		call.Dedup, call.Window = ex.unheld == "", rule.Window
		call.Body = rule.Match == rules.MatchBody
		call.Observe = rule.Observe || ex.snap.Dedup.Observe || ex.snap.Observing
	}
	call.Issued = call.Token != (access.Token{}) && s.Tokens.Find(call.Token, ex.group.name, ex.group.issuer) != nil
	return p
}
