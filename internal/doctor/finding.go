package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is a finding in a word.
type Verdict string

// The verdicts.
const (
	Healthy     Verdict = "healthy"      // 5.x clients execute every call once here
	Affected    Verdict = "affected"     // they send every call twice
	Misled      Verdict = "misled"       // they take a refused call for an accepted one
	OldServer   Verdict = "old_server"   // there is no authApp: they cannot start
	NotPowerJob Verdict = "not_powerjob" // the answers are not PowerJob's
	Failing     Verdict = "failing"      // something answers in the server's place, with an error
	Unreachable Verdict = "unreachable"  // there is no answer
)

// Exit codes of the doctor command. 2 means a wrong command line.
const (
	ExitHealthy     = 0
	ExitAffected    = 1 // affected, misled or old_server
	ExitUnreachable = 3 // unreachable or failing
	ExitNotPowerJob = 4
)

// ExitCode returns the command's exit code for one server.
func (v Verdict) ExitCode() int {
	switch v {
	case Healthy:
		return ExitHealthy
	case Unreachable, Failing:
		return ExitUnreachable
	case NotPowerJob:
		return ExitNotPowerJob
	}
	return ExitAffected
}

// Finding is what was found out about one server. Its JSON is for scripts: names are
// not changed, but more may be added.
type Finding struct {
	URL     string   `json:"url"`
	Verdict Verdict  `json:"verdict"`
	Summary string   `json:"summary"`          // one sentence
	Details []string `json:"details,omitzero"` // more sentences about it
	Facts   []string `json:"facts,omitzero"`   // what was seen, in lines
	Advice  []Advice `json:"advice,omitzero"`

	Answers []Answer `json:"answers,omitzero"` // to the probes that decide the verdict
	Shims   []Shim   `json:"shims,omitzero"`   // on the way, the shim next to the server first
	Hops    []string `json:"hops,omitzero"`    // header lines in which others name themselves: "Server: nginx"
	TLS     *TLS     `json:"tls,omitempty"`    // nil: plain text
	Lacks   []string `json:"lacks,omitzero"`   // calls of newer clients that the server does not have
	// Open: a call without a token is carried out (CVE-2025-11581).
	Open bool `json:"open"`
	// SendsHeader: the server is healthy and sends the header itself.
	SendsHeader bool `json:"sends_header"`
}

// Advice is a step to take.
type Advice struct {
	Text    string `json:"text"`
	Command string `json:"command,omitempty"` // to be copied as it is
}

// Answer is the answer to one probe.
type Answer struct {
	Call   string   `json:"call"`
	Status int      `json:"status"`
	Header []string `json:"header"` // the auth header's lines as they came
}

// TLS describes the connection to an https server.
type TLS struct {
	Version  string `json:"version"`
	HTTP2    bool   `json:"http2"`    // the server takes it when a client offers it, as the Java client does
	Verifies bool   `json:"verifies"` // a client that checks certificates accepts the server's
	Problem  string `json:"problem,omitempty"`
}

// String returns the finding for people.
func (f *Finding) String() string {
	var b strings.Builder
	for _, fact := range f.Facts {
		b.WriteString("  " + fact + "\n")
	}
	if f.Facts != nil {
		b.WriteString("\n")
	}
	b.WriteString(strings.ToUpper(strings.NewReplacer("not_powerjob", "not powerjob", "_", " ").Replace(string(f.Verdict))) + ": " + f.Summary + "\n")
	for _, d := range f.Details {
		b.WriteString("  " + d + "\n")
	}
	for _, a := range f.Advice {
		b.WriteString("  - " + a.Text + "\n")
		if a.Command != "" {
			b.WriteString("      " + a.Command + "\n")
		}
	}
	return b.String()
}

func (f *Finding) advise(texts ...string) {
	for _, text := range texts {
		f.Advice = append(f.Advice, Advice{Text: text})
	}
}

func (f *Finding) adviseCommand(text, command string) {
	f.Advice = append(f.Advice, Advice{Text: text, Command: command})
}

// Report is what was found out about a list of servers, for people and for scripts.
type Report struct {
	Verdict  Verdict   `json:"verdict"` // the worst: affected before not_powerjob before unreachable
	ExitCode int       `json:"exit_code"`
	Summary  string    `json:"summary"`
	Needed   bool      `json:"shim_needed"` // false: all servers send the header themselves
	Servers  []Finding `json:"servers"`
}

// worst orders exit codes, from the worst on: duplicated calls come first.
var worst = []int{ExitAffected, ExitNotPowerJob, ExitUnreachable, ExitHealthy}

// NewReport sums findings up. There must be at least one finding.
func NewReport(findings []Finding) Report {
	r := Report{Servers: findings}
	most := slices.MinFunc(findings, func(a, b Finding) int {
		return slices.Index(worst, a.Verdict.ExitCode()) - slices.Index(worst, b.Verdict.ExitCode())
	})
	r.Verdict, r.ExitCode = most.Verdict, most.Verdict.ExitCode()
	r.Needed = slices.ContainsFunc(findings, func(f Finding) bool { return !f.SendsHeader })
	r.Summary = r.summary()
	return r
}

func (r Report) summary() string {
	shims := slices.ContainsFunc(r.Servers, func(f Finding) bool { return len(f.Shims) > 0 })
	switch {
	case !r.Needed && shims:
		return "A shim is no longer needed: all servers send the header themselves."
	case !r.Needed:
		return "No shim is needed: all servers send the header themselves."
	case len(r.Servers) == 1:
		return r.Servers[0].Summary
	}
	var parts []string
	for _, v := range []Verdict{Affected, Misled, OldServer, NotPowerJob, Failing, Unreachable, Healthy} {
		n := 0
		for _, f := range r.Servers {
			if f.Verdict == v {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.NewReplacer("not_powerjob", "not PowerJob", "_", " ").Replace(string(v))))
		}
	}
	return fmt.Sprintf("Of %d servers: %s.", len(r.Servers), strings.Join(parts, ", "))
}

// String returns the report for people: each server's finding, then the summary.
func (r Report) String() string {
	var b strings.Builder
	for i := range r.Servers {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "powerjob-shim doctor %s\n\n%s", r.Servers[i].URL, r.Servers[i].String())
	}
	if len(r.Servers) > 1 {
		b.WriteString("\n" + r.Summary + "\n")
	}
	return b.String()
}
