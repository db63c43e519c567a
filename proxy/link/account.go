package link

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
)

// statusHungUp is the status of requests whose caller hung up before an answer was
// written, in the log and the metrics only (nginx's number for it).
const statusHungUp = 499

// Account begins and ends a request.
type Account struct {
	Snapshot func() *routing.Snapshot // the one in force
	Active   *atomic.Int64            // requests being served, hijacked ones included
	Log      *zap.Logger
	Metrics  *metrics.Metrics
	Version  string
}

// Link makes the exchange, and writes a request's log line and metrics whatever
// happened further in.
func (a Account) Link(next exchange.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.Active.Add(1)
		defer a.Active.Add(-1)
		ex, r := exchange.New(w, r, a.Snapshot(), a.Metrics, a.Version)
		finished := false
		defer func() {
			var broken any
			if !finished {
				broken = a.recovered(ex, recover())
			}
			ex.EndBody()
			a.record(r, ex)
			if ex.Answer.Closing && broken == nil {
				broken = http.ErrAbortHandler // net/http closes the connection
			}
			if broken != nil {
				panic(broken)
			}
		}()
		next(&ex.Answer, r, ex)
		finished = true
	})
}

// recovered answers for a chain that has panicked, unless an answer has begun. It
// returns the value to go on panicking with; nil: the panic ends here.
func (a Account) recovered(ex *exchange.Exchange, broken any) any {
	if err, _ := broken.(error); broken == nil || errors.Is(err, http.ErrAbortHandler) {
		return broken
	}
	a.Log.Error("handler panicked", zap.String(exchange.FieldRequestID, ex.ID), zap.Any("panic", broken), zap.Stack("stack"))
	if ex.Answer.Status != 0 {
		return http.ErrAbortHandler
	}
	// A connection that is cut before its status line makes OkHttp silently send
	// again.
	ex.Fail(&ex.Answer, http.StatusInternalServerError, "a fault of the shim itself; its log has request id "+ex.ID)
	return nil
}

// record writes the log line and the metrics of a request that has ended.
func (a Account) record(r *http.Request, ex *exchange.Exchange) {
	took := time.Since(ex.Received)
	status := ex.Answer.Status
	switch {
	case ex.HungUp:
		status = statusHungUp
	case status == 0: // hijacked, or nothing was written
		status = http.StatusOK
	}
	call := ex.CallName()
	a.Metrics.Answered(ex.Route, call, status, took.Seconds(), ex.ID)
	if ex.Unanswered != "" {
		a.Metrics.Unanswered.WithLabelValues(ex.Route, string(ex.Unanswered)).Inc()
	}
	if !ex.Snap.AccessLog {
		return
	}
	if entry := a.Log.Check(zapcore.InfoLevel, "request"); entry != nil {
		line := accessLine{r: r, ex: ex, call: call, status: status, took: took}
		entry.Write(zap.Inline(&line))
	}
}
