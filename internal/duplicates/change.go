package duplicates

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Action is a change to leftovers.
type Action struct {
	Wanted Status // the state that they get
	call   string
	verb   string // for people
}

// The actions. Neither removes a job for good: enableJob brings it back.
var (
	Disable = Action{Disabled, "disableJob", "Disable"}
	Delete  = Action{Deleted, "deleteJob", "Delete"}
)

// Concerns reports whether a finding has a leftover that the action would change.
func (a Action) Concerns(f Finding) bool {
	return f.Kind == Pair && f.Jobs[0].Status < a.Wanted
}

// Result says how the change of one leftover ended.
type Result string

// The results.
const (
	Done    Result = "done"
	Skipped Result = "skipped" // a job has changed since it was found; nothing was sent
	Failed  Result = "failed"
)

// Outcome is a Result and its reason; "": there is nothing to add.
type Outcome struct {
	Result  Result
	Reason  string
	already bool // somebody else has made the change
	silent  bool // the server did not answer
}

// maxSilence is after how many leftovers in a row without an answer the others are
// given up: each may take the whole timeout.
const maxSilence = 3

// ApplyAll changes the leftovers of all findings that the action concerns, one after
// the other, and reports each. If a leftover then has the wanted Status, whoever gave
// it, ApplyAll sets it in found too. It goes on after a failure, unless the server
// has stopped answering or ctx has ended: then the others fail without a try. ctx
// does not cut off a call in flight.
func (s *Session) ApplyAll(ctx context.Context, a Action, found []Finding, report func(Finding, Outcome)) {
	silent := 0
	for _, f := range found {
		if !a.Concerns(f) {
			continue
		}
		switch {
		case ctx.Err() != nil:
			report(f, Outcome{Result: Failed, Reason: "not tried: interrupted"})
			continue
		case silent == maxSilence:
			report(f, Outcome{Result: Failed, Reason: "not tried: the server does not answer any more"})
			continue
		}
		o := s.apply(context.WithoutCancel(ctx), a, f)
		if o.silent {
			silent++
		} else {
			silent = 0
		}
		if o.Result == Done || o.already {
			f.Jobs[0].Status = a.Wanted
		}
		report(f, o)
	}
}

// apply looks at both jobs of a pair again, and changes the leftover if nothing
// has happened to either.
func (s *Session) apply(ctx context.Context, a Action, f Finding) Outcome {
	for i, listed := range f.Jobs {
		now, err := s.job(ctx, listed.ID)
		switch {
		case err != nil:
			return failed(err)
		case i == 0 && now.Status == a.Wanted:
			return Outcome{Result: Skipped, Reason: fmt.Sprintf("somebody else has %s it", a.Wanted), already: true}
		case now != listed:
			return Outcome{Result: Skipped, Reason: fmt.Sprintf("job %d was changed since it was listed", listed.ID)}
		}
	}
	id := f.Jobs[0].ID
	err := s.call(ctx, a.call, nil, "jobId", strconv.FormatInt(id, 10))
	if err == nil {
		return Outcome{Result: Done}
	}
	// Without an answer, or with a gateway's, the call may have been executed.
	if now, again := s.job(ctx, id); again == nil {
		if now.Status == a.Wanted {
			return Outcome{Result: Done, Reason: fmt.Sprintf("%v; but it is %s now", err, a.Wanted)}
		}
		return Outcome{Result: Failed, Reason: err.Error()}
	}
	o := failed(err)
	o.Reason += "; whether it was executed is not known: list again"
	return o
}

func failed(err error) Outcome {
	var none *silence
	return Outcome{Result: Failed, Reason: err.Error(), silent: errors.As(err, &none)}
}
