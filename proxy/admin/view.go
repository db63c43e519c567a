package admin

import (
	"context"
	"time"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/rules"
)

// View is the proxy with one configuration, as one answer describes it. It stays valid
// when the configuration is replaced. Two views with the same configuration are equal
// (==). Its methods are called by several goroutines at once.
type View interface {
	// About returns what the proxy knows about itself. It asks no server.
	About() About

	// Look connects to the servers of all groups, and returns the groups with its
	// findings, sorted by name. It returns soon after ctx ends.
	Look(ctx context.Context) []Group

	// Complete returns a copy of found, an earlier result of Look, and adds what else is
	// known about each server now: calls that it lacks, and the verdict of doctor. It
	// also returns whether the shim is needed; nil: not known for all servers.
	Complete(ctx context.Context, found []Group) ([]Group, *Need)
}

// About is what the proxy knows about itself.
type About struct {
	Version   string
	Started   time.Time
	Draining  bool
	Observing bool  // mode: observe
	InFlight  int64 // requests being served

	Hash          string // of the configuration
	Configuration string // in force, as YAML, with secrets masked; "": not shown

	GroupNames []string // of the upstream groups, sorted
	ReadyAll   bool     // each routed group must be ready; false: one is enough
	// Ready decides, instead of the servers, whether requests should be sent here. It
	// returns why not, or nil; see proxy.Options. A nil Ready: the servers decide.
	Ready func() error

	Dedup Dedup
}

// Dedup is what /status says about the record of calls.
type Dedup struct {
	Store     string                    `json:"store"` // memory or redis
	Problems  []string                  `json:"problems,omitempty"`
	Entries   int                       `json:"entries"` // calls and logins on record
	Bytes     int64                     `json:"bytes"`
	InFlight  int                       `json:"in_flight"`
	Evicted   uint64                    `json:"evicted_before_expiry"`
	Decisions map[rules.Decision]uint64 `json:"decisions"` // since the start
}

// Group is an upstream group.
type Group struct {
	Name    string   `json:"name"`
	Servers []Server `json:"servers"`

	Routed bool     `json:"-"` // some route leads to it
	Routes []string `json:"-"` // the routes that lead to it, each as "host/path"
}

// Server is one server of a group.
type Server struct {
	Server    string `json:"server"`    // its address
	State     string `json:"state"`     // up, refusing, ejected or down: whether it gets requests
	Reachable bool   `json:"reachable"` // it has just accepted a connection, and answered correctly if it was asked
	Problem   string `json:"problem,omitempty"`
	Advice    string `json:"advice,omitempty"` // what to configure instead
	InFlight  int64  `json:"in_flight"`

	Lacks []string `json:"lacks,omitempty"` // calls of newer clients that it does not have, as far as they were tried

	// Doctor is what the doctor command would find; nil: not known yet.
	Doctor *doctor.Finding `json:"doctor,omitempty"`

	Healthy bool `json:"-"` // requests are sent to it
	Ready   bool `json:"-"` // it may get requests, if only because no other server is better
}

// Verdict returns doctor's verdict; "": not known yet.
func (s Server) Verdict() string {
	if s.Doctor == nil {
		return ""
	}
	return string(s.Doctor.Verdict)
}

// Summary returns the summary of doctor's finding; "": not known yet.
func (s Server) Summary() string {
	if s.Doctor == nil {
		return ""
	}
	return s.Doctor.Summary
}

// Need says whether the shim is still needed.
type Need struct {
	Header  bool   `json:"header"` // some server does not send the auth header itself
	Summary string `json:"summary"`
}
