package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
)

// failed answers for a server of which there is no answer, or none that can be
// passed on. It says to the caller what happened, what may have been executed,
// and what to do.
func failed(w http.ResponseWriter, r *http.Request, ex *Exchange, err error) {
	ex.failure = err
	if ex.outcome == up.Answered { // an answer that cannot be passed on
		ex.outcome = up.Unknown
	}
	at, advice := "", "it may have been executed: look before you call again"
	if ex.mayRepeat() {
		advice = "call again"
	}
	if ex.server != nil {
		at = " at " + ex.server.Name
	}
	stopping := errors.Is(err, errStopping) || errors.Is(context.Cause(r.Context()), errStopping)
	switch {
	case ex.in.Broken() != nil:
		// The caller's side broke, not the server's.
		ex.hungUp = errors.Is(ex.in.Broken(), io.ErrUnexpectedEOF) || r.Context().Err() != nil
		ex.failBody(w, ex.in.Broken())
	case stopping && ex.outcome == up.NotSent:
		ex.unsent(w, http.StatusServiceUnavailable, unansweredStopping, "stopping; nothing was sent to the server, call again")
	case stopping:
		ex.noAnswer(w, http.StatusGatewayTimeout, unansweredStopping, "stopping before the server"+at+" answered; "+advice)
	case (errors.Is(err, up.ErrHungUp) || errors.Is(r.Context().Err(), context.Canceled)) && ex.outcome == up.NotSent:
		ex.hungUp = true
		ex.unsent(w, http.StatusBadGateway, unansweredCallerGone, "the caller closed the connection; nothing was sent to the server")
	case errors.Is(err, up.ErrHungUp), errors.Is(r.Context().Err(), context.Canceled):
		ex.hungUp = true
		ex.fail(w, http.StatusBadGateway, "the caller closed the connection before the server"+at+" answered; "+advice)
	case errors.Is(err, up.ErrAllFull):
		ex.unsent(w, http.StatusServiceUnavailable, unansweredMaxConnections, "the servers of upstream "+ex.group.name+" have max_connections in use; nothing was sent, call again later")
	case ex.outcome == up.NotSent && ex.group.upstream.AllDown():
		ex.unsent(w, http.StatusServiceUnavailable, unansweredUnhealthy, "no server of upstream "+ex.group.name+" is healthy, and none can be connected to. Nothing was sent")
	case ex.outcome == up.NotSent:
		ex.unsent(w, http.StatusBadGateway, unansweredConnect, "cannot reach the PowerJob server"+at+": "+connect.Problem(err)+
			". Nothing was sent. Check that it runs, and the address under upstreams."+ex.group.name+".servers")
	case connect.IsTimeout(err):
		ex.noAnswer(w, http.StatusGatewayTimeout, unansweredNoAnswer, "the PowerJob server"+at+" did not answer within "+
			ex.patience().String()+"; "+advice)
	default:
		ex.noAnswer(w, http.StatusBadGateway, unansweredNoAnswer, "the PowerJob server"+at+" broke the connection before it answered; "+advice)
	}
}
