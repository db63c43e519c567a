package doctor

import (
	"fmt"
	"strings"
)

// note writes down what was seen, before the verdict.
func (d *diagnosis) note() {
	d.Facts = append(d.Facts, d.secureFact()...)
	for i := range probeGet {
		s := d.seen[i]
		answer := Answer{Call: probes[i].call, Status: s.Status, Header: []string{}}
		for _, f := range s.authFields() {
			answer.Header = append(answer.Header, f.Name+": "+f.Value)
		}
		d.Answers = append(d.Answers, answer)
		d.Facts = append(d.Facts, s.fact(probes[i].call))
	}
	d.Shims, d.TLS = d.shims, d.secure
	for _, name := range []string{"Server", "Via", "X-Envoy-Upstream-Service-Time"} {
		if v := d.seen[probeRead].value(name); v != "" {
			d.Hops = append(d.Hops, name+": "+v)
		}
	}
	d.Facts = append(d.Facts, d.onTheWay()...)
	if d.seen[probeAssert].envelope && d.seen[probeNew].unmapped() {
		d.Lacks = []string{"runJob2"}
		who := "a shim in front sends it as runJob"
		switch {
		case d.observing():
			who = "the shim, once it is in mode: enforce, sends it as runJob"
		case d.shim:
			who = "the shim sends it as runJob, unless it has outerKey or extendValue (compat)"
		}
		d.Facts = append(d.Facts, "lacks        runJob2, by which clients of 5.1.2, the Python client too, start jobs; "+who)
	}
	if d.seen[probeRead].success {
		d.Open = true
		d.Facts = append(d.Facts, "open         calls need no token: anyone who reaches this address can run jobs (CVE-2025-11581)")
	}
}

func (e *examined) secureFact() []string {
	switch {
	case e.secure == nil:
		return nil
	case e.secure.Verifies:
		return []string{e.secure.Version + "; a client that checks certificates accepts this one"}
	}
	return []string{e.secure.Version + "; a client that checks certificates refuses this one (" + e.secure.Problem + "); the Java client checks none"}
}

// onTheWay returns the report's lines about the shims and other hops that name
// themselves in the answers.
func (d *diagnosis) onTheWay() []string {
	var who []string
	for i := len(d.shims) - 1; i >= 0; i-- { // as a request meets them
		who = append(who, d.shims[i].String())
	}
	if d.shim && who == nil {
		who = append(who, "powerjob-shim")
	}
	if d.gate {
		who[0] += ", whose gate asks for tokens"
	}
	facts := strings.Join(append(who, d.Hops...), "; ")
	if facts == "" {
		return nil
	}
	lines := []string{"on the way   " + facts}
	if len(d.shims) > 1 {
		lines = append(lines, fmt.Sprintf("in a row     %d shims: one is enough, the one next to the clients", len(d.shims)))
	}
	return lines
}

// suspects returns a sentence that names the hops that may have removed or re-cased
// the header; "": none names itself.
func (d *diagnosis) suspects() string {
	if len(d.Hops) == 0 {
		return ""
	}
	return " What names itself in the answers: " + strings.Join(d.Hops, ", ") + "."
}
