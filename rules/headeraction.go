package rules

// HeaderAction is what a header rule did to a server's answer. It is a label of the
// metric, and a shim tells it to doctor. The metric says only what the rule did, as the
// case in which the server wrote the name is not known there. Doctor is told the case,
// too: kept and denied mean that the server wrote it exactly, recased that it did not.
type HeaderAction string

// The actions.
const (
	HeaderAdded   HeaderAction = "added"   // the server sent none: the rule's value was written
	HeaderKept    HeaderAction = "kept"    // the server's own value was written, in the rule's case
	HeaderRecased HeaderAction = "recased" // the same, by a rule without a value; to doctor it says more: see HeaderAction
	HeaderDenied  HeaderAction = "denied"  // the server's own value is false, which no rule changes
)

// HeaderActions returns every action, for labels that must exist from the start.
func HeaderActions() []string {
	return []string{string(HeaderAdded), string(HeaderKept), string(HeaderRecased), string(HeaderDenied)}
}
