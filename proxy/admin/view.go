package admin

import (
	"context"
	"time"

	"powerjob-shim/internal/doctor"
	"powerjob-shim/rules"
)

// View is the proxy under one configuration, as an answer describes it. The
// configuration may be replaced meanwhile. Two views of one configuration are equal (==). Its methods are
// called by several goroutines at once.
type View interface {
	// About returns what the proxy knows of itself, without asking anybody.
	About() About

	// Look connects to the servers of all groups, and returns what it finds, sorted by
	// the groups' names. It returns soon after ctx ends.
	Look(ctx context.Context) []Group

	// Complete adds to what Look found, perhaps a while ago, what else is known of each
	// server now: calls that it lacks, and what doctor says. It returns whether the shim
	// is needed; nil: that is not known of all servers. It does not change the groups
	// that it is given.
	Complete(ctx context.Context, found []Group) ([]Group, *Need)
}

// About is what the proxy knows of itself.
type About struct {
	Version   string
	Started   time.Time
	Draining  bool
	Observing bool // mode: observe
	InFlight  int64

	Hash          string // of the configuration
	Configuration string // in force, as YAML, with secrets masked; "": not told

	GroupNames []string // of the upstream groups, sorted
	ReadyAll   bool     // each group that requests can get to must be ready; else one is enough
	// Ready decides in place of the servers whether requests should be sent here, and
	// returns why not; see proxy.Options. nil: the servers decide.
	Ready func() error

	Dedup Dedup
}

// Dedup is what /status tells of the record of calls.
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

	Routed bool     `json:"-"` // requests can get to it
	Routes []string `json:"-"` // that lead to it, each as "host/path"
}

// Server is one server of a group.
type Server struct {
	Server    string `json:"server"`    // its address
	State     string `json:"state"`     // up, refusing, ejected or down: whether it gets requests
	Reachable bool   `json:"reachable"` // it takes connections, tried just now, and answered as it should when it was asked
	Problem   string `json:"problem,omitempty"`
	Advice    string `json:"advice,omitempty"` // what to write instead
	InFlight  int64  `json:"in_flight"`

	Lacks []string `json:"lacks,omitempty"` // calls of newer clients that it has not, as far as they were tried

	// Doctor is what the doctor command would say; nil: not known yet.
	Doctor *doctor.Finding `json:"doctor,omitempty"`

	Healthy bool `json:"-"` // requests are sent to it
	Ready   bool `json:"-"` // it should get requests when no other server is better
}

// Verdict is doctor's; "": not known yet.
func (s Server) Verdict() string {
	if s.Doctor == nil {
		return ""
	}
	return string(s.Doctor.Verdict)
}

// Summary is that of the verdict.
func (s Server) Summary() string {
	if s.Doctor == nil {
		return ""
	}
	return s.Doctor.Summary
}

// Need tells whether the shim has done its work.
type Need struct {
	Header  bool   `json:"header"` // a server does not send the auth header itself
	Summary string `json:"summary"`
}
