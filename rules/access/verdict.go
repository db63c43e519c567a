package access

// Verdict is the gate's decision on a call, as the log and the metric's label have it.
type Verdict string

// The verdicts.
const (
	VerdictPassed   Verdict = "passed"
	VerdictRefused  Verdict = "refused"
	VerdictObserved Verdict = "observed" // it would have been refused
)
