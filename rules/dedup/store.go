package dedup

import (
	"context"
	"time"
)

// Store is a Machine that many requests may use at once. There are two makes:
// Memory, within one process, and shared.Store, which several replicas of the
// shim have in common. No method fails, since a store never fails a call, and
// but for Await none blocks for longer than a fraction of a second.
//
// The methods are Machine's, each made one atomic step. All are safe for
// concurrent use.
type Store interface {
	// NextID returns an ID for a call that arrives.
	NextID() ID
	// Arrive takes in a call and decides what becomes of it. Unless the verdict
	// is Refuse, Delivered must follow, at last.
	Arrive(Call) Ruling
	// Await blocks until a call that was told to Wait has its decision, or until
	// ctx ends; then its error is returned, and the call must Leave.
	Await(ctx context.Context, id ID) (Ruling, error)
	// Finish takes in how a leader's forwarding ended, and wakes those who wait
	// for it. It returns when the store has the answer.
	Finish(id ID, out Outcome)
	// Leave takes in that a caller hung up before its answer was written in full.
	Leave(id ID)
	// Delivered takes in that a call is over.
	Delivered(id ID)

	// Now is the store's time: later than everything that the store knew when
	// whoever asks began to ask. It is what Issue.Requested is in.
	Now(group string) time.Time
	// Issued takes in that a token was given out. It must come before the client
	// gets it.
	Issued(Issue)
	// Presented takes in that an authApp carried a token.
	Presented(group string, token Token)
	// Undelivered takes in that a token which was given out did not reach its client.
	Undelivered(group string, token Token)

	// Stats returns what the store holds.
	Stats() Stats
	// Status tells people what the store is and how it fares.
	Status() Status
}

// Status is a store's state for people.
type Status struct {
	Kind string // "memory", "redis"
	// Problems are lines that say what does not work; none while all is well.
	Problems []string
}

// Tokens are issued tokens that replicas share, for the gate. The methods are
// safe for concurrent use and take a fraction of a second at most.
type Tokens interface {
	// KeepToken tells all replicas of a token, until ttl is over.
	KeepToken(group string, token Token, t KnownToken, ttl time.Duration)
	// FindToken returns a token that some replica kept, and whether it is known.
	FindToken(group string, token Token) (KnownToken, bool)
}

// KnownToken is what an issued token stands for.
type KnownToken struct {
	App   string    `json:"app"`            // the app's id
	Name  string    `json:"name,omitempty"` // and its name; empty: not known
	Since time.Time `json:"since"`          // of the login
}
