package proxy

import (
	"net/http"

	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
)

// unanswered says why a request was left without an answer; "": it was answered.
// The reasons are those of the metric and the log.
//
// PowerJob's clients and workers go on to their next address only where a
// connection fails. Any status, 502 and 503 included, makes them give up at
// once, or stay with this address for good. So where a server got nothing of a
// request, its connection is closed: to its caller the shim is what its server
// is, down.
type unanswered string

const (
	unansweredConnect        unanswered = metrics.UnansweredConnect
	unansweredUnhealthy      unanswered = metrics.UnansweredUnhealthy
	unansweredMaxRequests    unanswered = metrics.UnansweredMaxRequests
	unansweredMaxConnections unanswered = metrics.UnansweredMaxConnections
	unansweredStopping       unanswered = metrics.UnansweredStopping
	unansweredCallerGone     unanswered = metrics.UnansweredCallerGone
	unansweredNoAnswer       unanswered = metrics.UnansweredNoAnswer
)

// origin is what decides how a request is told that its server has no answer.
type origin struct {
	machine bool // a PowerJob client or worker that has come straight here
	shim    bool // another shim, on behalf of its own caller
	repeats bool // may be sent again though a server may have carried it out
}

// findOrigin is called once the route is known. A request with forwarding headers
// came through a proxy, which would turn a closed connection into a 502 of its
// own; one with an Origin is a browser's.
func (ex *Exchange) findOrigin(r *http.Request) {
	h := r.Header
	ex.origin.shim = throughShim(h)
	ex.origin.repeats = ex.harmless() || r.Method == http.MethodGet && ex.underServer()
	if r.Method == http.MethodOptions || !ex.underOpenAPI() && !ex.underServer() {
		return
	}
	for _, name := range [...]string{"Origin", forwarded, forwardedFor} {
		if _, ok := h[name]; ok {
			return
		}
	}
	ex.origin.machine = true
}

// mayRepeat reports whether a request may be sent again though a server may have
// carried it out.
func (f *Facts) mayRepeat() bool { return f.origin.repeats }

// unsent fails a request of which nothing was sent to a server. Depending on the
// caller it is an answer with this status and message, or a closed connection.
func (ex *Exchange) unsent(w http.ResponseWriter, status int, why unanswered, message string) {
	ex.unanswered = why
	ex.answerError(w, status, message)
}

// noAnswer fails a request that was sent and got no answer. One that may be sent
// again is treated like one that was not sent.
func (ex *Exchange) noAnswer(w http.ResponseWriter, status int, why unanswered, message string) {
	if !ex.mayRepeat() {
		why = ""
	}
	ex.unsent(w, status, why, message)
}

// closes decides, when an answer's header is about to be written, whether the
// connection is closed instead.
func (ex *Exchange) closes() bool {
	switch {
	case ex.unanswered == "" || ex.origin.shim:
		return false
	case ex.origin.machine && !ex.group.settings.AnswerUnreachable:
		return true
	case ex.unanswered != unansweredCallerGone:
		ex.unanswered = "" // an answer says it
	}
	return false
}

// markedUnanswered tells another shim that its call was not sent. Answers share
// it: read it only.
var markedUnanswered = []string{up.MarkUnanswered}
