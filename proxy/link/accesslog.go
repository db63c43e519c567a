package link

import (
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"powerjob-shim/proxy/exchange"
)

// accessLine is a request's log line. It hands its fields to the encoder one by
// one: a line is written for every call, and must cost little of it.
type accessLine struct {
	r      *http.Request
	ex     *exchange.Exchange
	call   string
	status int
	took   time.Duration
}

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (l *accessLine) MarshalLogObject(to zapcore.ObjectEncoder) error {
	ex := l.ex
	to.AddString(exchange.FieldRequestID, ex.ID)
	if id := traceID(l.r.Header["Traceparent"]); id != "" {
		to.AddString(exchange.FieldTraceID, id)
	}
	to.AddString(exchange.FieldRoute, ex.Route)
	to.AddString(exchange.FieldCall, l.call)
	to.AddString(exchange.FieldMethod, l.r.Method)
	to.AddString(exchange.FieldPath, l.r.URL.EscapedPath())
	to.AddInt64(exchange.FieldStatus, int64(l.status))
	to.AddInt64(exchange.FieldBytesIn, ex.In.N())
	to.AddInt64(exchange.FieldBytesOut, ex.Answer.Bytes)
	to.AddFloat64(exchange.FieldDuration, l.took.Seconds())
	to.AddString(exchange.FieldClient, ex.Client.String())
	if ex.Decided != "" {
		to.AddString(exchange.FieldDecision, string(ex.Decided))
	}
	if ex.Reason != "" {
		to.AddString(exchange.FieldReason, ex.Reason)
	}
	if ex.Unanswered != "" {
		to.AddString(exchange.FieldUnanswered, string(ex.Unanswered))
	}
	if ex.Translated != "" {
		to.AddString(exchange.FieldTranslated, ex.Translated)
	}
	if ex.Gate != "" {
		to.AddString(exchange.FieldGate, string(ex.Gate))
		to.AddString(exchange.FieldGateReason, string(ex.GateReason))
	}
	if ex.Server != nil {
		to.AddString(exchange.FieldUpstream, ex.Group.Name)
		to.AddString(exchange.FieldUpstreamServer, ex.Server.Name)
		to.AddFloat64(exchange.FieldUpstreamSeconds, ex.Took.Seconds())
	}
	if ex.Failure != nil {
		to.AddString(exchange.FieldError, withoutAnswer(ex.Failure))
	}
	return nil
}

// traceID returns the trace id of a traceparent header (W3C Trace Context): the
// 32 hex digits after the version. It is "" without a header, with several, or with one
// that the standard does not allow. Versions above 00 may have more behind the flags.
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

// withoutAnswer is an error's text without what a server sent: net/http quotes
// the bytes of malformed answers, and there may be a token among them.
func withoutAnswer(err error) string {
	text := err.Error()
	if i := strings.Index(text, "malformed"); i >= 0 {
		return text[:i] + "malformed answer"
	}
	return text
}
