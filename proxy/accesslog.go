package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// statusHungUp is the status of requests whose caller went away before there
// was an answer, in the log and the metrics only (nginx's number for it).
const statusHungUp = 499

// The fields of a request's log line. They are an interface for those who
// query logs: a test holds them.
const (
	fieldRequestID       = "request_id"
	fieldRoute           = "route"
	fieldCall            = "call"
	fieldDecision        = "decision" // only under a dedup rule
	fieldReason          = "reason"   // only where there is one
	fieldMethod          = "method"
	fieldPath            = "path" // as it came, without the query
	fieldStatus          = "status"
	fieldBytesIn         = "bytes_in"         // of the body
	fieldBytesOut        = "bytes_out"        // of the body
	fieldDuration        = "duration_seconds" // from the request's header to the answer's end
	fieldUpstream        = "upstream"
	fieldUpstreamServer  = "upstream_server"
	fieldUpstreamSeconds = "upstream_duration_seconds" // to the header of the server's answer
	fieldClient          = "client"
	fieldError           = "error"       // why forwarding failed
	fieldGate            = "gate"        // only where the gate objected: refused, or observed
	fieldGateReason      = "gate_reason" // likewise
)

// observe begins and ends a request: it makes the exchange, and writes its log
// line and metrics whatever happened further in.
func (p *Proxy) observe(next handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.active.Add(1)
		defer p.active.Add(-1)
		ex := &exchange{snap: p.snap.Load(), id: requestID(r), received: time.Now(), bodyTimeout: bodyTimeoutOf(r), caller: watchedCaller{r.Context()}}
		ex.findClient(r)
		ex.answer = answerWriter{ResponseWriter: w, ex: ex, metrics: p.metrics}
		own := *r // what is changed of it is nothing to net/http
		r = &own
		if r.Body != nil && r.Body != http.NoBody {
			ex.in.ReadCloser = r.Body
			r.Body = &ex.in
		}
		finished := false
		defer func() {
			var broken any
			if !finished {
				broken = recover()
			}
			if err, _ := broken.(error); broken != nil && !errors.Is(err, http.ErrAbortHandler) {
				p.log.Error("handler panicked", zap.String(fieldRequestID, ex.id), zap.Any("panic", broken), zap.Stack("stack"))
				if ex.answer.status == 0 {
					// A connection that is cut before its status line makes
					// OkHttp silently send again.
					ex.fail(&ex.answer, http.StatusInternalServerError, "a fault of the shim itself; its log has request id "+ex.id)
					broken = nil
				} else {
					broken = http.ErrAbortHandler
				}
			}
			ex.endBody()
			p.record(r, ex)
			if broken != nil {
				panic(broken)
			}
		}()
		next(&ex.answer, r, ex)
		finished = true
	})
}

// record writes the log line and the metrics of a request that has ended.
func (p *Proxy) record(r *http.Request, ex *exchange) {
	took := time.Since(ex.received)
	status := ex.answer.status
	switch {
	case ex.hungUp:
		status = statusHungUp
	case status == 0: // hijacked, or nothing was written
		status = http.StatusOK
	}
	call := ex.callName()
	p.metrics.Answered(ex.route, call, status, took.Seconds())
	if !ex.snap.AccessLog {
		return
	}
	entry := p.log.Check(zapcore.InfoLevel, "request")
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, 16)
	fields = append(fields,
		zap.String(fieldRequestID, ex.id),
		zap.String(fieldRoute, ex.route),
		zap.String(fieldCall, call),
		zap.String(fieldMethod, r.Method),
		zap.String(fieldPath, r.URL.EscapedPath()),
		zap.Int(fieldStatus, status),
		zap.Int64(fieldBytesIn, ex.in.n.Load()),
		zap.Int64(fieldBytesOut, ex.answer.n),
		zap.Float64(fieldDuration, took.Seconds()),
		zap.Stringer(fieldClient, ex.client),
	)
	if ex.decided != "" {
		fields = append(fields, zap.String(fieldDecision, string(ex.decided)))
	}
	if ex.reason != "" {
		fields = append(fields, zap.String(fieldReason, ex.reason))
	}
	if ex.gate != "" {
		fields = append(fields, zap.String(fieldGate, string(ex.gate)), zap.String(fieldGateReason, string(ex.gateReason)))
	}
	if ex.server != nil {
		fields = append(fields,
			zap.String(fieldUpstream, ex.group.name),
			zap.String(fieldUpstreamServer, ex.server.name),
			zap.Float64(fieldUpstreamSeconds, ex.upstream.Seconds()))
	}
	if ex.failure != nil {
		fields = append(fields, zap.String(fieldError, withoutAnswer(ex.failure)))
	}
	entry.Write(fields...)
}

// requestID returns the caller's X-Request-Id if it is fit to be logged and
// sent on, else a new one.
func requestID(r *http.Request) string {
	if values := r.Header[requestIDHeader]; len(values) == 1 && saneID(values[0]) {
		return values[0]
	}
	return rand.Text()
}

// saneID reports whether id is 1 to 128 visible ASCII characters.
func saneID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

// withoutAnswer is an error's text without what a server sent: net/http quotes
// the bytes of malformed answers, and there may be a token among them.
func withoutAnswer(err error) string {
	text := err.Error()
	if i := strings.Index(text, "malformed"); i >= 0 {
		return text[:i] + "malformed answer"
	}
	return text
}
