package gate

import (
	"encoding/json"
	"net/http"
	"strconv"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// refuse answers a call that must not pass: as a 5.1.1 server does where it
// would refuse too, else with an error of the shim's own.
func (g Gate) refuse(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange, reason access.Reason) {
	g.noteGate(ex, access.VerdictRefused, reason)
	if _, ok := reason.Denial(); ok {
		g.Denied(r, ex)
	}
	refuse(ex, w, reason)
}

// refuse writes the answer to a call that must not pass.
func refuse(ex *exchange.Exchange, w http.ResponseWriter, reason access.Reason) {
	if denial, ok := reason.Denial(); ok {
		deny(w, denial)
		return
	}
	switch reason {
	case access.Unreadable:
		ex.Fail(w, http.StatusBadRequest, "the gate cannot read which app this call is for; send plain JSON in UTF-8, or an encoded form")
	case access.TooLarge:
		ex.Fail(w, http.StatusRequestEntityTooLarge, "the gate cannot read a call larger than dedup.max_body")
	case access.NotHeld:
		ex.Fail(w, http.StatusServiceUnavailable, "the call's body came too slowly, or too many are being read; call again")
	case access.UnknownPath:
		ex.Fail(w, http.StatusForbidden, "this path looks like PowerJob's OpenAPI, but is not under "+ex.Group.Settings.Prefix()+"; see openapi_prefix")
	case access.Blocked:
		ex.Fail(w, http.StatusForbidden, "this path is blocked, see auth.block")
	default:
		ex.Fail(w, http.StatusForbidden, "calls from this address or for this app are not allowed, see auth.allow")
	}
}

// deny writes a server's own refusal. Because of its header the client logs in and
// sends again.
func deny(w http.ResponseWriter, d access.Denial) {
	body, _ := json.Marshal(d) // strings always marshal
	h := w.Header()
	h[openapi.AuthHeader] = []string{"false"}
	h["Content-Type"] = []string{exchange.ServerContentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // a caller who has hung up needs no answer
}

func (g Gate) noteGate(ex *exchange.Exchange, d access.Verdict, reason access.Reason) {
	ex.Gate, ex.GateReason = d, reason
	g.Metrics.Gate.WithLabelValues(string(d), string(reason)).Inc()
}
