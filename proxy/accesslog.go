package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/listen"
	up "powerjob-shim/proxy/upstream"
)

// statusHungUp is the status of requests whose caller went away before there
// was an answer, in the log and the metrics only (nginx's number for it).
const statusHungUp = 499

// The fields of a request's log line. They are an interface for those who
// query logs: a test holds them.
const (
	fieldRequestID       = "request_id"
	fieldTraceID         = "trace_id" // only where the caller sent a traceparent
	fieldRoute           = "route"
	fieldCall            = "call"
	fieldDecision        = "decision"   // only under a dedup rule
	fieldReason          = "reason"     // only where there is one
	fieldTranslated      = "translated" // only where it was: the call as which it was sent
	fieldMethod          = "method"
	fieldPath            = "path" // as it came, without the query
	fieldStatus          = "status"
	fieldBytesIn         = "bytes_in"         // of the body
	fieldBytesOut        = "bytes_out"        // of the body
	fieldDuration        = "duration_seconds" // from the request's header to the answer's end
	fieldUpstream        = up.FieldGroup
	fieldUpstreamServer  = up.FieldServer
	fieldUpstreamSeconds = "upstream_duration_seconds" // to the header of the server's answer
	fieldClient          = "client"
	fieldError           = "error"       // why forwarding failed
	fieldUnanswered      = "unanswered"  // only where the caller got no answer, and why
	fieldGate            = "gate"        // only where the gate objected: refused, or observed
	fieldGateReason      = "gate_reason" // likewise
)

// account begins and ends a request: it makes the exchange, and writes its log
// line and metrics whatever happened further in.
func (p *Proxy) account(next handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.active.Add(1)
		defer p.active.Add(-1)
		ex := &exchange{snap: p.snap.Load(), id: requestID(r), received: time.Now(), pace: body.Pace(listen.PaceOf(r)), caller: callerOf(r)}
		ex.findClient(r)
		ex.introduces = len(r.Header[doctor.Header]) > 0
		ex.answer = answerWriter{ResponseWriter: w, ex: ex, metrics: p.metrics, version: p.version}
		if ex.watched() { // net/http must not see our changes
			own := *r
			r = &own
		}
		if r.Body != nil && r.Body != http.NoBody {
			ex.in.ReadCloser = r.Body
			r.Body = &ex.in
		}
		finished := false
		defer func() {
			var broken any
			if !finished {
				broken = p.recovered(ex, recover())
			}
			ex.endBody()
			p.record(r, ex)
			if ex.answer.closing && broken == nil {
				broken = http.ErrAbortHandler // net/http closes the connection
			}
			if broken != nil {
				panic(broken)
			}
		}()
		next(&ex.answer, r, ex)
		finished = true
	})
}

// recovered makes an answer of a panic of the chain, where none has begun, and
// returns what to go on panicking with; nil: nothing.
func (p *Proxy) recovered(ex *exchange, broken any) any {
	if err, _ := broken.(error); broken == nil || errors.Is(err, http.ErrAbortHandler) {
		return broken
	}
	p.log.Error("handler panicked", zap.String(fieldRequestID, ex.id), zap.Any("panic", broken), zap.Stack("stack"))
	if ex.answer.status != 0 {
		return http.ErrAbortHandler
	}
	// A connection that is cut before its status line makes OkHttp silently send
	// again.
	ex.fail(&ex.answer, http.StatusInternalServerError, "a fault of the shim itself; its log has request id "+ex.id)
	return nil
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
	p.metrics.Answered(ex.route, call, status, took.Seconds(), ex.id)
	if ex.unanswered != "" {
		p.metrics.Unanswered.WithLabelValues(ex.route, string(ex.unanswered)).Inc()
	}
	if !ex.snap.AccessLog {
		return
	}
	if entry := p.log.Check(zapcore.InfoLevel, "request"); entry != nil {
		line := accessLine{r: r, ex: ex, call: call, status: status, took: took}
		entry.Write(zap.Inline(&line))
	}
}

// accessLine is a request's log line. It hands its fields to the encoder one by
// one: a line is written for every call, and must cost little of it.
type accessLine struct {
	r      *http.Request
	ex     *exchange
	call   string
	status int
	took   time.Duration
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (l *accessLine) MarshalLogObject(to zapcore.ObjectEncoder) error {
	ex := l.ex
	to.AddString(fieldRequestID, ex.id)
	if id := traceID(l.r.Header["Traceparent"]); id != "" {
		to.AddString(fieldTraceID, id)
	}
	to.AddString(fieldRoute, ex.route)
	to.AddString(fieldCall, l.call)
	to.AddString(fieldMethod, l.r.Method)
	to.AddString(fieldPath, l.r.URL.EscapedPath())
	to.AddInt64(fieldStatus, int64(l.status))
	to.AddInt64(fieldBytesIn, ex.in.N())
	to.AddInt64(fieldBytesOut, ex.answer.n)
	to.AddFloat64(fieldDuration, l.took.Seconds())
	to.AddString(fieldClient, ex.client.String())
	if ex.decided != "" {
		to.AddString(fieldDecision, string(ex.decided))
	}
	if ex.reason != "" {
		to.AddString(fieldReason, ex.reason)
	}
	if ex.unanswered != "" {
		to.AddString(fieldUnanswered, string(ex.unanswered))
	}
	if ex.translated != "" {
		to.AddString(fieldTranslated, ex.translated)
	}
	if ex.gate != "" {
		to.AddString(fieldGate, string(ex.gate))
		to.AddString(fieldGateReason, string(ex.gateReason))
	}
	if ex.server != nil {
		to.AddString(fieldUpstream, ex.group.name)
		to.AddString(fieldUpstreamServer, ex.server.Name)
		to.AddFloat64(fieldUpstreamSeconds, ex.upstream.Seconds())
	}
	if ex.failure != nil {
		to.AddString(fieldError, withoutAnswer(ex.failure))
	}
	return nil
}

// requestID returns the caller's X-Request-Id if it is fit to be logged and
// sent on, else a new one.
func requestID(r *http.Request) string {
	if values := r.Header[requestIDHeader]; len(values) == 1 && saneID(values[0]) {
		return strings.Clone(values[0]) // a metric's exemplar may keep it
	}
	return rand.Text()
}

// traceID returns the trace id of a traceparent header (W3C Trace Context): the
// 32 hex digits after the version. It is "" without a header, with several, or with one
// that the standard allows. Versions above 00 may have more behind the flags.
func traceID(values []string) string {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(values) != 1 || len(values[0]) < length {
		return ""
	}
	v := values[0]
	version, trace, parent, flags := v[:2], v[3:35], v[36:52], v[53:55]
	if v[2] != '-' || v[35] != '-' || v[52] != '-' || !lowerHex(version) || !lowerHex(trace) || !lowerHex(parent) || !lowerHex(flags) {
		return ""
	}
	if version == "ff" || strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return ""
	}
	if len(v) > length && (version == "00" || v[length] != '-') {
		return ""
	}
	return trace
}

func lowerHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
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
