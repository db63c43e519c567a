package proxy

import up "powerjob-shim/proxy/upstream"

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
