// Package duplicates finds the jobs that the defect has left in a server, and
// takes them out of service.
//
// The simple use is to look, which changes nothing:
//
//	server, err := address.Parse("http://127.0.0.1:7700")
//	s, err := duplicates.Login(ctx, duplicates.Config{Server: server, App: "app1", Password: "pw"})
//	jobs, err := s.Jobs(ctx)
//	for _, f := range duplicates.Find(jobs, 10*time.Second) { ... }
//
// ApplyAll then disables or deletes what was found, each job after another
// look at it.
//
// What it goes by: an affected server executes a call of a 5.x client, lets the
// client log in again, and executes the same call a second time. So there are
// two jobs that differ in nothing but their ids and times, made one right after
// the other, and the caller was told the id of the later one only.
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
	// Pair is what the defect leaves: Jobs[0] is the leftover and may be taken
	// out of service, because Jobs[1] is at least as much in service.
	Pair Kind = "pair"
	// Alone is a pair of which only the leftover is (still) in service. Either
	// its caller has disabled or deleted the job that it knows, and the leftover
	// runs on unknown to it; or somebody has cleaned up, and the leftover is the
	// only one left. Nobody can tell which from here.
	Alone Kind = "alone"
	// Unclear is more than two, or two whose ids and times contradict each
	// other: which of them are known to their callers cannot be told.
	Unclear Kind = "unclear"
)

// Finding is some equal jobs that were made one right after the other.
type Finding struct {
	Kind Kind
	Jobs []Job // by id; two unless Unclear
}

// Open tells whether jobs run that perhaps should not: the leftover is enabled,
// or more than one of those of which none can be told to be one.
func (f Finding) Open() bool {
	if f.Kind != Unclear {
		return f.Jobs[0].Status == Enabled
	}
	return f.count(Enabled) > 1
}

// Gaps returns the times between the making of each job and the next one; a
// negative one contradicts the ids.
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

// Find returns the equal jobs of a server of which each was made within that
// time of the one before it, by id. What is settled, because its leftover is
// deleted, is left out.
func Find(jobs []Job, within time.Duration) []Finding {
	jobs = slices.Clone(jobs)
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	jobs = slices.CompactFunc(jobs, func(a, b Job) bool { return a.ID == b.ID }) // a job is not its own twin
	var found []Finding
	last := map[content]int{} // where the newest run of equal jobs stands in found
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
