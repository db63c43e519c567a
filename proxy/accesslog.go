package proxy

import (
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
)

// accessLine is a request's log line. It hands its fields to the encoder one by
// one: a line is written for every call, and must cost little of it.
type accessLine struct {
	r      *http.Request
	ex     *Exchange
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

// withoutAnswer is an error's text without what a server sent: net/http quotes
// the bytes of malformed answers, and there may be a token among them.
func withoutAnswer(err error) string {
	text := err.Error()
	if i := strings.Index(text, "malformed"); i >= 0 {
		return text[:i] + "malformed answer"
	}
	return text
}
