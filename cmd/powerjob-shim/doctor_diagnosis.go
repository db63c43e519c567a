package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	"powerjob-shim/internal/client"
	"powerjob-shim/rules/openapi"
)

// diagnosis is the doctor's report.
type diagnosis struct {
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

// unreachable is the diagnosis of a server that did not answer a request.
func unreachable(err error) diagnosis {
	d := diagnosis{facts: []string{err.Error()}, verdict: "UNREACHABLE: there is no answer to examine."}
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		d.todo = []string{"The name cannot be resolved here. Check it, or run doctor where the client runs."}
	case errors.Is(err, syscall.ECONNREFUSED):
		d.todo = []string{"Nothing listens on this address. Check host and port (PowerJob's default is 7700)."}
	case errors.As(err, &network) && network.Timeout():
		d.todo = []string{"The answer took longer than --timeout. The Java client waits 2 s, then calls another address or gives up."}
	case errors.As(err, &record):
		d.todo = []string{"This port does not speak TLS. Try http:// instead of https://."}
	case strings.Contains(err.Error(), "unexpected status line"):
		d.todo = []string{"This is not an HTTP server, or it speaks TLS (then try https://) or HTTP/2 only (which no PowerJob client can use in plain text)."}
	default:
		d.todo = []string{"The connection failed or was cut. If this is a TLS port, try https://."}
	}
	return d
}

// unanswered is the diagnosis of a server that closes the connection on a call,
// by what it makes of a GET of /: a shim answers that in words.
func unanswered(call string, root sight, err error) diagnosis {
	d := diagnosis{
		facts:   []string{fmt.Sprintf("%-12s closed without an answer: a shim whose server is down, or nothing", call)},
		verdict: "UNREACHABLE: there is no answer to examine.",
	}
	switch {
	case err != nil:
		d.facts = append(d.facts, fmt.Sprintf("%-12s %v", "GET /", err))
		d.todo = []string{
			"The connection was cut, for / too. Check host and port (PowerJob's default is 7700).",
			"If this is a TLS port, try https://.",
		}
	case strings.HasPrefix(root.message, "powerjob-shim: "):
		d.facts = append(d.facts, fmt.Sprintf("%-12s %d, of a shim", "GET /", root.Status))
		d.verdict = "FAILING: a shim stands here, and its server does not answer. Clients go on to their next address."
		d.todo = []string{"It says: " + root.message}
	default:
		d.facts = append(d.facts, fmt.Sprintf("%-12s %d", "GET /", root.Status))
		d.todo = []string{"Something answers here, but cuts calls. If a shim is on the way, behind a proxy perhaps, look at its log (the field unanswered) and at its /readyz."}
	}
	return d
}

// headerState says how the Java client sees the auth header of an answer.
type headerState uint8

const (
	headerNone   headerState = iota
	headerCased              // there, but the client does not find it under its exact name
	headerDenied             // false
	headerPassed             // true
	headerOdd                // anything else
)

func (s sight) header() headerState {
	names, _ := s.authNames()
	switch value := s.Get(openapi.AuthHeader); {
	case names == nil:
		return headerNone
	case value == "":
		return headerCased
	case strings.EqualFold(value, "true"):
		return headerPassed
	case strings.EqualFold(value, "false"):
		return headerDenied
	default:
		return headerOdd
	}
}

// authNames returns the auth header's names as they came, and its values.
func (s sight) authNames() (names, values []string) {
	for _, f := range s.Header {
		if strings.EqualFold(f.Name, openapi.AuthHeader) {
			names, values = append(names, f.Name), append(values, f.Value)
		}
	}
	return names, values
}

// fact is the report's line about one probe.
func (s sight) fact(call string) string {
	line := fmt.Sprintf("%-12s %d", call, s.Status)
	names, values := s.authNames()
	if names == nil {
		return line + ", no " + openapi.AuthHeader
	}
	for i, name := range names {
		line += fmt.Sprintf(", %s: %s", name, values[i])
	}
	return line
}

// value returns a field's first value, whatever its name's case.
func (s sight) value(name string) string {
	i := slices.IndexFunc(s.Header, func(f client.Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return ""
	}
	return s.Header[i].Value
}

// refusedByCheck tells that the server's check is on: it refused a call that
// came without a token (OpenApiSecurityServiceImpl).
func (s sight) refusedByCheck() bool {
	return s.envelope && !s.success && (s.code == "-1002" || s.code == "-300" || s.code == "-401")
}

// servers404 tells a PowerJob server's own 404 from what other web servers
// answer: under its context path it is Spring's, outside of it Undertow's, which
// is empty and names no server.
func (s sight) servers404() bool {
	return s.unmapped() || len(s.Body) == 0 && s.value("Server") == ""
}

// unmapped tells that a Spring server has nothing at the path
// (BasicErrorController).
func (s sight) unmapped() bool {
	var e struct {
		Status int     `json:"status"`
		Error  string  `json:"error"`
		Path   *string `json:"path"`
	}
	return s.Status == 404 && json.Unmarshal(s.Body, &e) == nil && e.Status == 404 && e.Error != "" && e.Path != nil
}

// lacks tells of a call of newer clients that the server has not.
func lacks(seen [len(probes)]sight, shim bool) []string {
	if !seen[probeAssert].envelope || !seen[probeNew].unmapped() {
		return nil
	}
	who := "a shim in front sends it as runJob"
	if shim {
		who = "the shim sends it as runJob, unless it has outerKey or extendValue (compat)"
	}
	return []string{"lacks        runJob2, by which clients of 5.1.2, the Python client too, start jobs; " + who}
}

// diagnose judges what was seen. h2 tells that the server takes HTTP/2 when it
// is offered.
func diagnose(seen [len(probes)]sight, h2 bool) diagnosis {
	var d diagnosis
	for i := range probeGet {
		d.facts = append(d.facts, seen[i].fact(probes[i].call))
	}
	shim := seen[probeGet].value(shimHeader) != ""
	d.facts = append(d.facts, onTheWay(seen, shim)...)
	d.facts = append(d.facts, lacks(seen, shim)...)
	read := seen[probeRead]
	checkOn := read.refusedByCheck()
	switch {
	case slices.ContainsFunc(seen[:], sight.outsidePrefix):
		d.outsidePrefix(seen)
	case !seen[probeAssert].envelope:
		d.strange(seen[probeAssert])
	case seen[probeLogin].Status == 404:
		d.oldServer()
	case seen[probeLogin].Status != 200 || read.Status != 200:
		d.failing(seen)
	case h2:
		d.affected("The server takes HTTP/2, which the Java client then uses and in which every name is lowercase.")
		d.todo = append(d.todo, "Switch HTTP/2 off on this listener, or let clients connect to a shim, which offers HTTP/1.1 only.")
	case checkOn && read.header() == headerPassed:
		d.verdict = "MISLED: 5.x clients take a refused call for one that passed here.\n" +
			"  A call that the server refused arrives as passed: something on the way adds true beside the server's own false."
		d.todo = []string{
			"Remove what adds " + openapi.AuthHeader + " (nginx: add_header). The server's check is on and sends it by itself.",
			"Until then a client whose token has expired does not log in again: each of its calls fails.",
		}
	case anyHeader(seen, checkOn, headerCased):
		d.recased(seen, shim)
	case checkOn && read.header() == headerDenied:
		d.healthy = true
		d.verdict = "HEALTHY: the server's OpenAPI check is on (logins carry no header then), and its own header arrives in exact case."
		d.todo = []string{"Nothing needs to be done: 5.x clients execute every call once here."}
	case checkOn:
		d.lost("The server's check is on and it sends the header, but the header does not arrive", shim)
	case allHeaders(seen, headerPassed):
		d.healthy = true
		d.verdict = "HEALTHY: " + openapi.AuthHeader + ": true arrives in exact case."
		d.todo = []string{"Nothing needs to be done: 5.x clients execute every call once here."}
	case allHeaders(seen, headerNone) && !shim:
		d.affected("No answer carries the header: a 5.0 or 5.1.0 server with its check off, or a hop that removes it.")
		d.todo = append(d.todo, "Put the shim in front: powerjob-shim run --upstream URL (this server), and point the clients to it.",
			"Or upgrade the server to 5.1.1, whose own header then has to arrive in exact case: run doctor again.")
	default:
		d.lost("The header does not arrive as true on every answer", shim)
	}
	if d.twice {
		d.todo = append(d.todo, "Then look for jobs that were made twice already: powerjob-shim duplicates URL --app NAME.")
	}
	return d
}

// decisive are the answers that should carry the header: with the check on,
// logins carry none.
func decisive(seen [len(probes)]sight, checkOn bool) []sight {
	if checkOn {
		return seen[probeRead : probeRead+1]
	}
	return seen[:probeGet]
}

func anyHeader(seen [len(probes)]sight, checkOn bool, state headerState) bool {
	return slices.ContainsFunc(decisive(seen, checkOn), func(s sight) bool { return s.header() == state })
}

func allHeaders(seen [len(probes)]sight, state headerState) bool {
	return !slices.ContainsFunc(decisive(seen, false), func(s sight) bool { return s.header() != state })
}

func (d *diagnosis) affected(why string) {
	d.twice = true
	d.verdict = "AFFECTED: 5.x clients send every call twice here.\n  " + why
}

func (d *diagnosis) lost(what string, shim bool) {
	d.affected(what + ".")
	if shim {
		d.todo = append(d.todo, "A shim is on the way. Check its rules (a header rule for /openApi/*), and what stands between it and you: something removes the header.")
		return
	}
	d.todo = append(d.todo, "Something on the way removes "+openapi.AuthHeader+". Find it by running doctor against each hop, from the server outwards,",
		"or put the shim behind the last hop, next to the clients.")
}

func (d *diagnosis) recased(seen [len(probes)]sight, shim bool) {
	var names []string
	for _, s := range seen[:probeGet] {
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
	if shim {
		d.todo = append(d.todo, "The shim is behind that hop; put it in front of it, so that nothing stands between clients and shim. Until then it drops the repetitions.")
		return
	}
	d.todo = append(d.todo, "Or put the shim behind the last hop, next to the clients: it restores the exact case.")
}

// outsidePrefix tells that a shim passed this on as no call of PowerJob's.
func (s sight) outsidePrefix() bool { return s.value(shimHeader) == "outside-prefix" }

func (d *diagnosis) outsidePrefix(seen [len(probes)]sight) {
	const what = "A shim is on the way, and its prefix does not match the path of this URL: it does not take these requests for PowerJob's calls."
	if seen[probeAssert].envelope && seen[probeLogin].Status == 200 {
		d.affected(what)
	} else {
		d.verdict = "NOT POWERJOB: the answers are not those of PowerJob's OpenAPI.\n  " + what
	}
	d.todo = append(d.todo, "In the shim's configuration set upstreams.NAME.openapi_prefix to this URL's path and /openApi (/x/openApi), if the server runs under that context path;",
		"or strip_prefix to this URL's path on the shim's route, if the path was an ingress's. The shim's log has a warning with the very key.",
		"Or correct the URL, if your clients have another one.")
}

func (d *diagnosis) oldServer() {
	d.verdict = "OLD SERVER: there is no authApp (404): a 4.x or 5.0 beta server. 5.x clients cannot even start here."
	d.todo = []string{
		"4.x clients are fine as they are: they log in by assert and never send twice.",
		"For 5.x clients put the shim in front, with login_bridge in its configuration: it answers authApp in the server's place.",
	}
}

func (d *diagnosis) failing(seen [len(probes)]sight) {
	d.verdict = "FAILING: the server answers, but not with 200 where it should; 5.x clients throw on any other status."
	for _, s := range seen[:probeGet] {
		if s.message != "" && s.Status != 200 {
			d.todo = append(d.todo, "It says: "+s.message)
		}
	}
}

// strange is the diagnosis of something that does not answer like PowerJob.
func (d *diagnosis) strange(s sight) {
	d.verdict = "NOT POWERJOB: the answers are not those of PowerJob's OpenAPI."
	switch {
	case s.Status >= 500:
		d.verdict = fmt.Sprintf("FAILING: something answers in the server's place, with status %d.", s.Status)
		d.todo = []string{"Check that the PowerJob server behind it is up and reachable from there."}
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
		d.todo = []string{"There is no /openApi/ here. Check host and port (PowerJob's default is 7700); if the server has a context path, add it: http://host:7700/path."}
	case s.Status == 400:
		d.todo = []string{"If this is a TLS port, try https://. Else check host and port (PowerJob's default is 7700)."}
	default:
		d.todo = []string{"Check host and port (PowerJob's default is 7700)."}
	}
}

// onTheWay lists what says of itself that it handled the answers.
func onTheWay(seen [len(probes)]sight, shim bool) []string {
	var who []string
	if shim {
		who = append(who, "powerjob-shim")
	}
	for _, name := range []string{"Server", "Via", "X-Envoy-Upstream-Service-Time"} {
		if v := seen[probeRead].value(name); v != "" {
			who = append(who, name+": "+v)
		}
	}
	if who == nil {
		return nil
	}
	return []string{"on the way   " + strings.Join(who, ", ")}
}
