// Package duplicates finds the duplicate jobs that the defect has left in a server,
// and disables or deletes them.
//
// The simple use only looks:
//
//	server, err := address.Parse("http://127.0.0.1:7700")
//	s, err := duplicates.Login(ctx, duplicates.Config{Server: server, App: "app1", Password: "pw"})
//	jobs, err := s.Jobs(ctx)
//	for _, f := range duplicates.Find(jobs, 10*time.Second) { ... }
//
// ApplyAll then disables or deletes the jobs that were found; it looks at each job
// again before it changes it.
//
// An affected server executes a call of a 5.x client, lets the client log in again,
// and executes the same call a second time. So it has two jobs that differ only in
// their ids and times, made one right after the other, and the caller was told only
// the id of the later one.
package duplicates

import (
	"cmp"
	"slices"
	"time"
)

// Kind says what may be done about a Finding.
type Kind string

// The kinds.
const (
	// Pair is what the defect leaves: Jobs[0] is the leftover, which may be disabled
	// or deleted, because Jobs[1] is at least as much in service.
	Pair Kind = "pair"
	// Alone is a pair whose leftover is more in service than the other job. Either
	// the caller has disabled or deleted the job that it knows, and does not know that
	// the leftover still runs; or somebody has cleaned up and kept the leftover. This
	// package cannot tell which.
	Alone Kind = "alone"
	// Unclear is more than two jobs, or two whose ids and times contradict each
	// other: nobody can tell which of them their callers know.
	Unclear Kind = "unclear"
)

// Finding is a set of equal jobs that were made one right after the other.
type Finding struct {
	Kind Kind
	Jobs []Job // by id; two unless Unclear
}

// Open reports whether a job may run that should not: the leftover is enabled or, in
// an unclear finding, more than one job is.
func (f Finding) Open() bool {
	if f.Kind != Unclear {
		return f.Jobs[0].Status == Enabled
	}
	return f.count(Enabled) > 1
}

// Gaps returns the time from each job's creation to the next one's. A negative time
// contradicts the order of the ids.
func (f Finding) Gaps() []time.Duration {
	var gaps []time.Duration
	for i, j := range f.Jobs[1:] {
		gaps = append(gaps, j.Created.Sub(f.Jobs[i].Created))
	}
	return gaps
}

func (f Finding) count(s Status) int {
	n := 0
	for _, j := range f.Jobs {
		if j.Status == s {
			n++
		}
	}
	return n
}

// Find returns the sets of equal jobs in which each job, in the order of the ids,
// was made within that time of the one before it. It leaves out sets whose leftover
// is deleted already.
func Find(jobs []Job, within time.Duration) []Finding {
	jobs = slices.Clone(jobs)
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	jobs = slices.CompactFunc(jobs, func(a, b Job) bool { return a.ID == b.ID }) // a job is not its own twin
	var found []Finding
	last := map[content]int{} // the index in found of the newest set with this content
	for _, j := range jobs {
		i, ok := last[j.content]
		if ok {
			f := &found[i]
			if gap := j.Created.Sub(f.Jobs[len(f.Jobs)-1].Created); gap.Abs() <= within {
				f.Jobs = append(f.Jobs, j)
				continue
			}
		}
		last[j.content] = len(found)
		found = append(found, Finding{Jobs: []Job{j}})
	}
	found = slices.DeleteFunc(found, func(f Finding) bool { return len(f.Jobs) < 2 })
	for i := range found {
		found[i].Kind = found[i].kind()
	}
	return slices.DeleteFunc(found, Finding.settled)
}

func (f Finding) kind() Kind {
	switch {
	case len(f.Jobs) > 2 || f.Gaps()[0] < 0:
		return Unclear
	case f.Jobs[0].Status < f.Jobs[1].Status:
		return Alone
	default:
		return Pair
	}
}

func (f Finding) settled() bool {
	if f.Kind == Unclear {
		return len(f.Jobs)-f.count(Deleted) < 2
	}
	return f.Jobs[0].Status == Deleted
}
