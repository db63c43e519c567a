package exchange

import up "powerjob-shim/proxy/upstream"

// The fields of a request's log line. They are an interface for those who
// query logs: a test holds them.
const (
	FieldRequestID       = "request_id"
	FieldTraceID         = "trace_id" // only where the caller sent a traceparent
	FieldRoute           = "route"
	FieldCall            = "call"
	FieldDecision        = "decision"   // only under a dedup rule
	FieldReason          = "reason"     // only where there is one
	FieldTranslated      = "translated" // only where it was: the call as which it was sent
	FieldMethod          = "method"
	FieldPath            = "path" // as it came, without the query
	FieldStatus          = "status"
	FieldBytesIn         = "bytes_in"         // of the body
	FieldBytesOut        = "bytes_out"        // of the body
	FieldDuration        = "duration_seconds" // from the request's header to the answer's end
	FieldUpstream        = up.FieldGroup
	FieldUpstreamServer  = up.FieldServer
	FieldUpstreamSeconds = "upstream_duration_seconds" // to the header of the server's answer
	FieldClient          = "client"
	FieldError           = "error"       // why forwarding failed
	FieldUnanswered      = "unanswered"  // only where the caller got no answer, and why
	FieldGate            = "gate"        // only where the gate objected: refused, or observed
	FieldGateReason      = "gate_reason" // likewise
)
