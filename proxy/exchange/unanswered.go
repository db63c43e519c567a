package exchange

import (
	"net/http"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
)

// Unanswered says why a request was left without an answer; "": it was answered. The
// values are those of the metric and the log.
//
// PowerJob's clients and workers go on to their next address only where a
// connection fails. Any status, 502 and 503 included, makes them give up at
// once, or stay with this address for good. So the shim closes the caller's
// connection if the server got nothing of the request, or if the request got no
// answer and may safely be sent again. To the caller the shim then looks like a
// server that is down.
type Unanswered string

// The values of Unanswered.
const (
	UnansweredConnect        Unanswered = metrics.UnansweredConnect
	UnansweredUnhealthy      Unanswered = metrics.UnansweredUnhealthy
	UnansweredMaxRequests    Unanswered = metrics.UnansweredMaxRequests
	UnansweredMaxConnections Unanswered = metrics.UnansweredMaxConnections
	UnansweredStopping       Unanswered = metrics.UnansweredStopping
	UnansweredCallerGone     Unanswered = metrics.UnansweredCallerGone
	UnansweredNoAnswer       Unanswered = metrics.UnansweredNoAnswer
)

// origin says who sent a request. How that sender is told that no server answered
// depends on it.
type origin struct {
	machine bool // a PowerJob client or worker, without a proxy between
	shim    bool // another shim, on behalf of its own caller
	repeats bool // see MayRepeat
}

// FindOrigin must be called once the route is known. A request with forwarding headers
// came through a proxy, which would turn a closed connection into a 502 of its own. A
// request with an Origin header is a browser's.
func (ex *Exchange) FindOrigin(r *http.Request) {
	h := r.Header
	ex.origin.shim = routing.ThroughShim(h)
	ex.origin.repeats = ex.Harmless() || r.Method == http.MethodGet && ex.underServer()
	if r.Method == http.MethodOptions || !ex.UnderOpenAPI() && !ex.underServer() {
		return
	}
	for _, name := range [...]string{"Origin", forwarded, forwardedFor} {
		if _, ok := h[name]; ok {
			return
		}
	}
	ex.origin.machine = true
}

// MayRepeat reports whether a request is Harmless, or a worker's search for servers.
func (f *Facts) MayRepeat() bool { return f.origin.repeats }

// Unsent fails a request of which nothing was sent to a server. Depending on its origin,
// the caller gets an answer with this status and message, or a closed connection.
func (ex *Exchange) Unsent(w http.ResponseWriter, status int, why Unanswered, message string) {
	ex.Unanswered = why
	ex.answerError(w, status, message)
}

// NoAnswer fails a request that was sent and got no answer. If it may be sent again, it
// is treated as if it had not been sent.
func (ex *Exchange) NoAnswer(w http.ResponseWriter, status int, why Unanswered, message string) {
	if !ex.MayRepeat() {
		why = ""
	}
	ex.Unsent(w, status, why, message)
}

// closes is called when an answer's header is about to be written. It decides whether the
// connection is closed instead.
func (ex *Exchange) closes() bool {
	switch {
	case ex.Unanswered == "" || ex.origin.shim:
		return false
	case ex.origin.machine && !ex.Group.Settings.AnswerUnreachable:
		return true
	case ex.Unanswered != UnansweredCallerGone:
		ex.Unanswered = "" // the caller gets an answer
	}
	return false
}

// markedUnanswered tells another shim that nothing of its call was sent, or that the
// call got no answer and may safely be sent again. Answers share it: read it only.
var markedUnanswered = []string{up.MarkUnanswered}
