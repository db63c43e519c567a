// Package replay is the shell round the dedup rules (rules/dedup): it describes a call
// to the store, does what the store decides, and tells the store how that ended.
//
//	r := replay.New(replay.Parts{Store: s, ...})
//	h = r.Link(h)
//
// A call that leads is forwarded, its answer collected, kept and then written
// (leader.go). One that equals a call in flight waits for that one's answer; one whose
// answer is kept gets it again (replayed.go). Whatever the rules do not keep passes
// as a stream, and the store learns how it ended (pass.go).
package replay
