package duplicates

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report has what was found and done.
type report struct {
	server, app string
	appID       int64
	jobs        int // of the app
	within      time.Duration
	found       []Finding
	outcomes    map[int64]Outcome // by the leftover's id
}

// concerned counts the leftovers that an action would change.
func (r *report) concerned(a Action) int {
	n := 0
	for _, f := range r.found {
		if a.Concerns(f) {
			n++
		}
	}
	return n
}

// verdict returns the command's error.
func (r *report) verdict() error {
	open := false
	for _, f := range r.found {
		if r.outcomes[f.Jobs[0].ID].Result == Failed {
			return ErrUnchanged
		}
		open = open || f.Open()
	}
	if open {
		return ErrLeft
	}
	return nil
}

// table returns the report for people. changing: leftovers are about to be changed,
// so the report does not advise how to change them.
func (r *report) table(changing bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "powerjob-shim duplicates %s\n\n%s: %s, deleted ones included", r.server, printable(r.app), count(r.jobs, "job"))
	if len(r.found) == 0 {
		fmt.Fprintf(&b, "; no equal ones that were made within %v of each other.\n", r.within)
		return b.String()
	}
	fmt.Fprintf(&b, ". Equal ones that were made within %v of each other:\n", r.within)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	pairs := r.rows(t, "\n  LEFTOVER\tKEEP\tAPART\tJOB\n", Pair)
	_ = t.Flush() // a Builder takes everything
	alone := r.rows(t, "\n  ALONE\tTWIN\tAPART\tJOB\n", Alone)
	_ = t.Flush()
	unclear := 0
	for _, f := range r.found {
		if f.Kind != Unclear {
			continue
		}
		if unclear++; unclear == 1 {
			b.WriteString("\n  UNCLEAR\n")
		}
		fmt.Fprintf(&b, "  %s: %s", printable(f.Jobs[0].Name), state(f.Jobs[0]))
		for i, gap := range f.Gaps() {
			fmt.Fprintf(&b, ", %v later %s", gap, state(f.Jobs[i+1]))
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	if pairs > 0 {
		fmt.Fprintf(&b, `LEFTOVER: %s. The call was executed twice; its caller was told the later id, nobody knows the earlier one.
  The nearer the two were made, the surer: the defect needs milliseconds, on a slow server seconds.
  Look in the web UI first whether a workflow uses one: the OpenAPI does not tell.%s
`, count(pairs, "pair"), r.next(changing))
	}
	if alone > 0 {
		fmt.Fprintf(&b, `ALONE: %s whose later job, the one that the caller knew, is out of service. Either its caller did that, and the
  leftover still runs; or somebody cleaned up, and it is the only one left. It is never changed here: look yourself.
`, count(alone, "pair"))
	}
	if unclear > 0 {
		fmt.Fprintf(&b, `UNCLEAR: %s of which nobody can tell from here which job is whose. They are never changed here: look
  yourself, or set --within between the small gaps and the large ones.
`, count(unclear, "set"))
	}
	return b.String()
}

// next says what the user can do about the leftovers that were found.
func (r *report) next(changing bool) string {
	switch {
	case changing:
		return ""
	case r.concerned(Disable) > 0:
		return " Then add --disable or --delete."
	default:
		return "\n  All of them are disabled already. With --delete they are no longer listed."
	}
}

// rows writes the pairs of one kind, and returns how many there are.
func (r *report) rows(w io.Writer, heading string, kind Kind) int {
	n := 0
	for _, f := range r.found {
		if f.Kind != kind {
			continue
		}
		if n++; n == 1 {
			fmt.Fprint(w, heading)
		}
		fmt.Fprintf(w, "  %s\t%s\t%v\t%s\n", state(f.Jobs[0]), state(f.Jobs[1]), f.Gaps()[0], printable(f.Jobs[0].Name))
	}
	return n
}

func state(j Job) string { return fmt.Sprintf("%d %s", j.ID, j.Status) }

// outcomeLine says how the change of a leftover ended.
func outcomeLine(f Finding, a Action, o Outcome) string {
	line := strconv.FormatInt(f.Jobs[0].ID, 10) + " "
	if o.Result == Done {
		line += a.Wanted.String()
	} else {
		line += string(o.Result)
	}
	if o.Reason != "" {
		line += ": " + o.Reason
	}
	return line
}

// printable returns a name as it is, or quoted if it is empty or could disturb a
// terminal.
func printable(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` || name == "" {
		return q
	}
	return name
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// json writes the report for programs.
func (r *report) json(out io.Writer) error {
	type job struct {
		ID      int64     `json:"id"`
		Status  string    `json:"status"`
		Created time.Time `json:"created"`
	}
	type finding struct {
		Kind     Kind    `json:"kind"`
		Name     string  `json:"name"`
		Open     bool    `json:"open"`
		Leftover int64   `json:"leftover,omitempty"` // not of unclear ones
		Twin     int64   `json:"twin,omitempty"`
		GapsMS   []int64 `json:"gaps_ms"`
		Jobs     []job   `json:"jobs"`
		Result   Result  `json:"result,omitempty"`
		Reason   string  `json:"reason,omitempty"`
	}
	found := []finding{}
	for _, f := range r.found {
		o := r.outcomes[f.Jobs[0].ID]
		v := finding{Kind: f.Kind, Name: f.Jobs[0].Name, Open: f.Open(), Result: o.Result, Reason: o.Reason}
		if f.Kind != Unclear {
			v.Leftover, v.Twin = f.Jobs[0].ID, f.Jobs[1].ID
		}
		for _, gap := range f.Gaps() {
			v.GapsMS = append(v.GapsMS, gap.Milliseconds())
		}
		for _, j := range f.Jobs {
			v.Jobs = append(v.Jobs, job{j.ID, j.Status.String(), j.Created})
		}
		found = append(found, v)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Server   string    `json:"server"`
		App      string    `json:"app"`
		AppID    int64     `json:"app_id"`
		Jobs     int       `json:"jobs"`
		WithinMS int64     `json:"within_ms"`
		Findings []finding `json:"findings"`
	}{r.server, r.app, r.appID, r.jobs, r.within.Milliseconds(), found})
}
