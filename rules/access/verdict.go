package access

// Verdict is what the gate made of a call: a word of the log and the metric's
// label.
type Verdict string

// The verdicts.
const (
	VerdictPassed   Verdict = "passed"
	VerdictRefused  Verdict = "refused"
	VerdictObserved Verdict = "observed" // it would have been refused
)
