package rules

// HeaderAction is what a header rule did to a server's answer: a word of the
// metric's label and of what a shim tells doctor. The metric says what the rule did; in
// which case the server wrote the name is not known there. Doctor is told that, too: of
// a header that the server sent, kept and denied say that its case was exact, and
// recased that it was another one.
type HeaderAction string

// The actions.
const (
	HeaderAdded   HeaderAction = "added"   // the server sent none: the rule's value was written
	HeaderKept    HeaderAction = "kept"    // the server's own value was written, in the rule's case
	HeaderRecased HeaderAction = "recased" // the same, by a rule without a value; what doctor is told: see HeaderAction
	HeaderDenied  HeaderAction = "denied"  // the server's own value is false, which no rule changes
)

// HeaderActions returns every action, for labels that must exist from the start.
func HeaderActions() []HeaderAction {
	return []HeaderAction{HeaderAdded, HeaderKept, HeaderRecased, HeaderDenied}
}
