package forward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
)

// failed answers a request for which there is no answer from a server, or none that can
// be passed on. It tells the caller what happened, what may have been executed, and what
// to do.
func failed(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange, err error) {
	ex.Failure = err
	if ex.Reached == up.Answered { // an answer that cannot be passed on
		ex.Reached = up.Unknown
	}
	at, advice := "", "it may have been executed: look before you call again"
	if ex.MayRepeat() {
		advice = "call again"
	}
	if ex.Server != nil {
		at = " at " + ex.Server.Name
	}
	stopping := errors.Is(err, exchange.ErrStopping) || errors.Is(context.Cause(r.Context()), exchange.ErrStopping)
	switch {
	case ex.In.Broken() != nil:
		// The caller's side broke, not the server's.
		ex.HungUp = errors.Is(ex.In.Broken(), io.ErrUnexpectedEOF) || r.Context().Err() != nil
		ex.FailBody(w, ex.In.Broken())
	case stopping && ex.Reached == up.NotSent:
		ex.Unsent(w, http.StatusServiceUnavailable, exchange.UnansweredStopping, "stopping; nothing was sent to the server, call again")
	case stopping:
		ex.NoAnswer(w, http.StatusGatewayTimeout, exchange.UnansweredStopping, "stopping before the server"+at+" answered; "+advice)
	case (errors.Is(err, up.ErrHungUp) || errors.Is(r.Context().Err(), context.Canceled)) && ex.Reached == up.NotSent:
		ex.HungUp = true
		ex.Unsent(w, http.StatusBadGateway, exchange.UnansweredCallerGone, "the caller closed the connection; nothing was sent to the server")
	case errors.Is(err, up.ErrHungUp), errors.Is(r.Context().Err(), context.Canceled):
		ex.HungUp = true
		ex.Fail(w, http.StatusBadGateway, "the caller closed the connection before the server"+at+" answered; "+advice)
	case errors.Is(err, up.ErrAllFull):
		ex.Unsent(w, http.StatusServiceUnavailable, exchange.UnansweredMaxConnections, "the servers of upstream "+ex.Group.Name+" have max_connections in use; nothing was sent, call again later")
	case ex.Reached == up.NotSent && ex.Group.Upstream.AllDown():
		ex.Unsent(w, http.StatusServiceUnavailable, exchange.UnansweredUnhealthy, "no server of upstream "+ex.Group.Name+" is healthy, and none can be connected to. Nothing was sent")
	case ex.Reached == up.NotSent:
		ex.Unsent(w, http.StatusBadGateway, exchange.UnansweredConnect, "cannot reach the PowerJob server"+at+": "+connect.Problem(err)+
			". Nothing was sent. Check that it runs, and the address under upstreams."+ex.Group.Name+".servers")
	case connect.IsTimeout(err):
		ex.NoAnswer(w, http.StatusGatewayTimeout, exchange.UnansweredNoAnswer, "the PowerJob server"+at+" did not answer within "+
			patience(r, ex).String()+"; "+advice)
	default:
		ex.NoAnswer(w, http.StatusBadGateway, exchange.UnansweredNoAnswer, "the PowerJob server"+at+" broke the connection before it answered; "+advice)
	}
}

// patience returns how long a server had until the head of its answer to r. For a held
// call that is the group's timeout, whatever its path.
func patience(r *http.Request, ex *exchange.Exchange) time.Duration {
	if r.GetBody != nil {
		return ex.Group.Settings.Timeout
	}
	return ex.Patience()
}
