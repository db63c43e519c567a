package rules

// Decision is what became of a call under a dedup rule. The same word is
// in the answer's X-Powerjob-Shim header, the log line and the metric's label.
type Decision string

// The decisions.
const (
	Forwarded Decision = "forwarded" // sent on to the upstream, or tried
	Replayed  Decision = "replayed"  // answered with the recorded answer of an earlier call
	Coalesced Decision = "coalesced" // waited for a call in flight and got its answer, or was told that it was not sent
	Observed  Decision = "observed"  // would have been replayed or coalesced, but was forwarded
	Bypassed  Decision = "bypassed"  // forwarded without deduplication: see the Bypass reasons
	Unknown   Decision = "unknown"   // sent, but no whole answer came back: it may have been executed
)

// Decisions returns every decision, for labels that must exist from the start.
func Decisions() []string {
	return []string{string(Forwarded), string(Replayed), string(Coalesced), string(Observed), string(Bypassed), string(Unknown)}
}

// Reasons why a call was forwarded without deduplication.
const (
	BypassBodyTooLarge = "body_too_large"     // larger than dedup.max_body
	BypassBodyTimeout  = "body_timeout"       // did not arrive in time
	BypassBodyBudget   = "body_budget"        // too many bodies were being read at once
	BypassInFlight     = "too_many_in_flight" // too many calls in flight to remember one more
	BypassAnswerBudget = "answer_budget"      // too many bytes of answers were being held at once
)

// BypassReasons returns every bypass reason.
func BypassReasons() []string {
	return []string{BypassBodyTooLarge, BypassBodyTimeout, BypassBodyBudget, BypassInFlight, BypassAnswerBudget}
}
