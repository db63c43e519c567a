// Package store makes the steps of deduplication (rules/dedup) atomic, for many
// requests at once: it has the lock, the clock and the waiting that the rules lack.
// Memory is a store within one process; package redislog is one that several replicas
// share.
//
//	s := store.NewMemory(dedup.Limits{})
//	d := s.Arrive(call)
//	switch d.Verdict {
//	case dedup.Lead:   // forward it, then s.Finish(call.ID, outcome)
//	case dedup.Wait:   // d, err = s.Await(ctx, call.ID)
//	case dedup.Replay: // write d.Answer
//	}
//	s.Leave(call.ID)     // only if the caller hung up
//	s.Delivered(call.ID) // at last; not after dedup.Refuse
package store

import (
	"context"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// Store is a dedup.Machine that many requests may use at once. There are two kinds:
// Memory, within one process, and redislog.Store, which several replicas of the
// shim share. No method returns an error, since a store never fails a call (Await
// returns that of ctx). Only Await blocks for longer than a fraction of a second.
//
// The methods are the Machine's, each made one atomic step. All are safe for
// concurrent use.
type Store interface {
	// NextID returns an ID for a call that arrives.
	NextID() dedup.ID
	// Arrive takes in a call and decides what becomes of it. Unless the verdict
	// is Refuse, Delivered must follow, at last.
	Arrive(dedup.Call) dedup.Ruling
	// Await blocks until a call that was told to Wait has its decision, or until
	// ctx ends; then its error is returned, and the call must Leave.
	Await(ctx context.Context, id dedup.ID) (dedup.Ruling, error)
	// Finish takes in how a leader's forwarding ended, and wakes those who wait
	// for it. It returns when the store has the answer.
	Finish(id dedup.ID, out dedup.Outcome)
	// Leave takes in that a caller hung up before its answer was written in full.
	Leave(id dedup.ID)
	// Delivered takes in that a call is over.
	Delivered(id dedup.ID)

	// Now is the store's time, which Issue.Requested is in. It is later than everything
	// that the store knew when Now was called.
	Now(group string) time.Time
	// Issued takes in that a token was given out. It must come before the client
	// gets it.
	Issued(dedup.Issue)
	// Presented takes in that an authApp carried a token.
	Presented(group string, token access.Token)
	// Undelivered takes in that an issued token did not reach its client.
	Undelivered(group string, token access.Token)

	// Stats returns what the store holds.
	Stats() dedup.Stats
	// Status tells people what the store is and how it fares.
	Status() Status
}

// Status is a store's state for people.
type Status struct {
	Kind string // "memory", "redis"
	// Problems are lines that say what does not work; empty while all is well.
	Problems []string
}
