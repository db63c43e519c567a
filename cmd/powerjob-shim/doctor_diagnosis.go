package main

import (
	"fmt"
	"slices"
	"strings"

	"powerjob-shim/rules/openapi"
)

// diagnosis is the doctor's report.
type diagnosis struct {
	examined
	healthy bool
	twice   bool     // calls are executed twice here, and may have been for long
	facts   []string // what was seen
	verdict string
	todo    []string
}

func (d diagnosis) String() string {
	var b strings.Builder
	for _, f := range d.facts {
		b.WriteString("  " + f + "\n")
	}
	if d.facts != nil {
		b.WriteString("\n")
	}
	b.WriteString(d.verdict + "\n")
	for _, t := range d.todo {
		b.WriteString("  - " + t + "\n")
	}
	return b.String()
}

// examined is what a diagnosis goes by.
type examined struct {
	seen [len(probes)]sight
	h2   bool   // the server takes HTTP/2 when it is offered
	url  server // as it was given
	shim bool   // a shim is on the way
	gate bool   // its gate refused the read, so that what the server checks does not show
}

func newExamined(seen [len(probes)]sight, h2 bool, url server) examined {
	e := examined{seen: seen, h2: h2, url: url}
	bare := seen[probeBare]
	e.gate = seen[probeRead].refusedByCheck() && (bare.saysShim() || bare.success)
	e.shim = e.gate || seen[probeGet].value(shimHeader) != "" || seen[probeAssert].saysShim()
	return e
}

// diagnose judges what was seen.
func diagnose(e examined) diagnosis {
	d := diagnosis{examined: e}
	for i := range probeGet {
		d.facts = append(d.facts, e.seen[i].fact(probes[i].call))
	}
	d.facts = append(d.facts, e.onTheWay()...)
	d.facts = append(d.facts, e.lacks()...)
	switch login, read := e.seen[probeLogin], e.seen[probeRead]; {
	case slices.ContainsFunc(e.seen[:], sight.outsidePrefix):
		d.outsidePrefix()
	case !e.seen[probeAssert].envelope:
		d.strange(e.seen[probeAssert])
	case login.Status == 404:
		d.oldServer()
	case login.Status != 200 || read.Status != 200:
		d.failing()
	case e.h2:
		d.affected("The server takes HTTP/2, which the Java client then uses and in which every name is lowercase.")
		d.todo = append(d.todo, "Switch HTTP/2 off on this listener, or let clients connect to a shim, which offers HTTP/1.1 only.")
	case read.refusedByCheck():
		d.checked(read.header())
	default:
		d.unchecked()
	}
	if d.twice {
		d.todo = append(d.todo, "Then look for jobs that were made twice already: powerjob-shim duplicates "+e.url.base()+" --app NAME.")
	}
	return d
}

// checked is the diagnosis where tokens are asked for, by the server or by a
// shim's gate: logins need no header then. header is the refused read's.
func (d *diagnosis) checked(header headerState) {
	who, what := "the server", "the server's OpenAPI check"
	if d.gate {
		who, what = "the shim", "the gate of a shim on the way, not the server,"
	}
	switch {
	case header == headerPassed:
		d.verdict = "MISLED: 5.x clients take a refused call for one that passed here.\n" +
			"  A call that " + who + " refused arrives as passed: something on the way adds true beside " + who + "'s own false."
		d.todo = []string{
			"Remove what adds " + openapi.AuthHeader + " (nginx: add_header). Tokens are checked, and " + who + " sends it by itself.",
			"Until then a client whose token has expired does not log in again: each of its calls fails.",
		}
	case header == headerCased:
		d.recased()
	case header == headerDenied && d.gate:
		d.well("HEALTHY: " + what + " asks for tokens, and its own header arrives in exact case.")
		d.todo = append(d.todo, "Whether the server checks tokens itself does not show through the gate: run doctor against the server's own address.")
	case header == headerDenied:
		d.well("HEALTHY: " + what + " is on (it sends no header on logins), and its own header arrives in exact case.")
	default:
		d.lost("Tokens are checked by " + who + ", which sends the header, but the header does not arrive")
	}
}

// unchecked is the diagnosis where a read without a token is answered: then
// each answer should carry the header.
func (d *diagnosis) unchecked() {
	switch {
	case slices.ContainsFunc(d.seen[:probeGet], func(s sight) bool { return s.header() == headerCased }):
		d.recased()
	case d.all(headerPassed):
		d.well("HEALTHY: " + openapi.AuthHeader + ": true arrives in exact case.")
	case d.all(headerNone) && !d.shim:
		d.affected("No answer carries the header: a 5.1.0 server with its check off, or a hop that removes it.")
		d.todo = append(d.todo, "Put the shim in front: powerjob-shim run --upstream "+d.url.base()+", and point the clients to it.",
			"Or upgrade the server to 5.1.1, whose own header then has to arrive in exact case: run doctor again.")
	default:
		d.lost("The header does not arrive as true on every answer")
	}
}

func (d *diagnosis) all(state headerState) bool {
	return !slices.ContainsFunc(d.seen[:probeGet], func(s sight) bool { return s.header() != state })
}

func (d *diagnosis) well(verdict string) {
	d.healthy, d.verdict = true, verdict
	because := ""
	if d.shim {
		because = ", because a shim is on the way"
	}
	d.todo = []string{"Nothing needs to be done" + because + ": 5.x clients execute every call once here."}
}

func (d *diagnosis) affected(why string) {
	d.twice = true
	d.verdict = "AFFECTED: 5.x clients send every call twice here.\n  " + why
}

func (d *diagnosis) lost(what string) {
	d.affected(what + ".")
	if d.shim {
		d.todo = append(d.todo, "A shim is on the way. Check its rules (a header rule for /openApi/*), and what stands between it and you: something removes the header.")
		return
	}
	d.todo = append(d.todo, "Something on the way removes "+openapi.AuthHeader+". Find it by running doctor against each hop, from the server outwards,",
		"or put the shim next to the clients, so that every hop is on the server's side of it.")
}

func (d *diagnosis) recased() {
	var names []string
	for _, s := range d.seen[:probeGet] {
		n, _ := s.authNames()
		names = append(names, n...)
	}
	i := slices.IndexFunc(names, func(n string) bool { return n != openapi.AuthHeader })
	name := names[max(i, 0)]
	d.affected("The header arrives as " + name + "; the Java client knows only " + openapi.AuthHeader + ".")
	switch {
	case name == strings.ToLower(name):
		d.todo = append(d.todo, "A hop writes names in lower case: HAProxy (by default), Envoy (Istio, many gateways and ingresses), or HTTP/2 between two hops.",
			"HAProxy: h1-case-adjust with option h1-case-adjust-bogus-client. Envoy: header_key_format preserve_case. Both only as far as HTTP/1.1 goes.")
	default:
		d.todo = append(d.todo, "A hop writes names its own way; this form is what Go's net/http makes: Caddy, Traefik and other proxies written in Go.")
	}
	if d.shim {
		d.todo = append(d.todo, "The shim is on the server's side of that hop. Move it to the clients' side, so that nothing stands between clients and shim. Until then it drops the repetitions.")
		return
	}
	d.todo = append(d.todo, "Or put the shim next to the clients, so that every hop is on the server's side of it: it restores the exact case.")
}

func (d *diagnosis) outsidePrefix() {
	const what = "A shim is on the way, and its prefix does not match the path of this URL: it does not take these requests for PowerJob's calls."
	if d.seen[probeAssert].envelope && d.seen[probeLogin].Status == 200 {
		d.affected(what)
	} else {
		d.verdict = "NOT POWERJOB: the answers are not those of PowerJob's OpenAPI.\n  " + what
	}
	path := d.url.prefix
	d.todo = append(d.todo, "In the shim's configuration set upstreams.NAME.openapi_prefix to "+path+"/openApi, if that is where the server has its calls. The shim's log has a warning with the very key.")
	if path != "" {
		d.todo = append(d.todo, "Or set strip_prefix to "+path+" on the shim's route, if the path was an ingress's.")
	}
	d.todo = append(d.todo, "Or correct the URL, if your clients have another one.")
}

func (d *diagnosis) oldServer() {
	d.verdict = "OLD SERVER: there is no authApp (404): a 4.x or 5.0 beta server. 5.x clients cannot even start here."
	shim := "For 5.x clients put the shim in front, powerjob-shim run --upstream " + d.url.base() + ", with login_bridge in its configuration: it answers authApp in the server's place."
	if d.shim {
		shim = "For 5.x clients add login_bridge to the configuration of the shim that is on the way: it then answers authApp in the server's place."
	}
	d.todo = []string{"4.x clients are fine as they are: they log in by assert and never send twice.", shim}
}

func (d *diagnosis) failing() {
	d.verdict = "FAILING: the server answers, but not with 200 where it should; 5.x clients throw on any other status."
	for _, s := range d.seen[:probeGet] {
		if s.saysShim() {
			d.verdict = "FAILING: a shim answers in the server's place, and not with 200; 5.x clients throw on any other status."
		}
		if line := "It says: " + s.message; s.message != "" && s.Status != 200 && !slices.Contains(d.todo, line) {
			d.todo = append(d.todo, line)
		}
		const app = "Doctor asks for an app that does not exist. Where the shim's auth.allow lists apps, that alone is refused; yours may pass."
		if s.saysShim() && s.Status == 403 && !slices.Contains(d.todo, app) {
			d.todo = append(d.todo, app)
		}
	}
}

// strange is the diagnosis of something that does not answer like PowerJob.
func (d *diagnosis) strange(s sight) {
	d.verdict = "NOT POWERJOB: the answers are not those of PowerJob's OpenAPI."
	switch {
	case s.Status >= 500:
		d.verdict = fmt.Sprintf("FAILING: something answers in the server's place, with status %d.", s.Status)
		d.todo = []string{"Check that the PowerJob server to which it passes requests is up and reachable from there."}
	case s.Status/100 == 3:
		d.todo = []string{"It redirects to " + s.value("Location") + ": examine that address. The Java client would not send its calls there."}
	case s.Status == 401 || s.Status == 403:
		d.todo = []string{"Something on the way wants a login or forbids the path; it must let /openApi/ pass."}
	case s.Status == 404 && !s.servers404():
		d.verdict += "\n  The 404 is not one of a PowerJob server's: a web server or an ingress answers with its default virtual host."
		d.todo = []string{
			"It does not know the host name in this URL. Call it by the name that it knows (nginx: server_name; Ingress: host).",
			"Where a shim stands between, it passes its caller's Host on: set upstreams.NAME.host there, to upstream or to that name.",
			"If the name is right, it has no /openApi/ under this path: check the path, and host and port (PowerJob's default is 7700).",
		}
	case s.Status == 404:
		d.todo = []string{"There is no /openApi/ here. Check host and port (PowerJob's default is 7700); if the server has a context path, add it: " + d.url.base() + "/PATH."}
	case s.Status == 400:
		d.todo = []string{"If this is a TLS port, try https://. Else check host and port (PowerJob's default is 7700)."}
	default:
		d.todo = []string{"Check host and port (PowerJob's default is 7700)."}
	}
}

// onTheWay lists what says of itself that it handled the answers.
func (e *examined) onTheWay() []string {
	var who []string
	switch {
	case e.gate:
		who = append(who, "powerjob-shim, whose gate asks for tokens")
	case e.shim:
		who = append(who, "powerjob-shim")
	}
	for _, name := range []string{"Server", "Via", "X-Envoy-Upstream-Service-Time"} {
		if v := e.seen[probeRead].value(name); v != "" {
			who = append(who, name+": "+v)
		}
	}
	if who == nil {
		return nil
	}
	return []string{"on the way   " + strings.Join(who, ", ")}
}

// lacks tells of a call of newer clients that the server has not.
func (e *examined) lacks() []string {
	if !e.seen[probeAssert].envelope || !e.seen[probeNew].unmapped() {
		return nil
	}
	who := "a shim in front sends it as runJob"
	if e.shim {
		who = "the shim sends it as runJob, unless it has outerKey or extendValue (compat)"
	}
	return []string{"lacks        runJob2, by which clients of 5.1.2, the Python client too, start jobs; " + who}
}
