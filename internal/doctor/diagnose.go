package doctor

import (
	"fmt"
	"slices"
	"strings"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules/openapi"
)

// diagnosis is a finding while it is being made.
type diagnosis struct {
	Finding
	examined
}

// examined is what the diagnosis is based on.
type examined struct {
	seen   [len(probes)]sight
	secure *TLS // nil: plain text
	server address.Server
	shim   bool   // a shim is on the way
	shims  []Shim // the shims that identify themselves, which older ones do not
	gate   bool   // a shim's gate refused the read, so that the server's own check cannot be seen
}

func newExamined(seen [len(probes)]sight, secure *TLS, server address.Server) examined {
	e := examined{seen: seen, secure: secure, server: server, shims: seen[probeRead].shims()}
	bare := seen[probeBare]
	e.gate = seen[probeRead].refusedByCheck() && (bare.saysShim() || bare.success)
	e.shim = e.gate || e.shims != nil || seen[probeGet].value(markHeader) != "" || seen[probeAssert].saysShim()
	return e
}

// diagnose judges what was seen.
func diagnose(e examined) *diagnosis {
	d := &diagnosis{examined: e}
	d.note()
	switch login, read := e.seen[probeLogin], e.seen[probeRead]; {
	case slices.ContainsFunc(e.seen[:], sight.outsidePrefix):
		d.outsidePrefix()
	case !e.seen[probeAssert].envelope:
		d.strange(e.seen[probeAssert])
	case login.Status == 404 && !login.saysShim():
		d.oldServer()
	case login.Status != 200 || read.Status != 200:
		d.failing()
	case e.secure != nil && e.secure.HTTP2:
		d.affected("The server takes HTTP/2, which the Java client then uses and in which every name is lowercase.")
		d.advise("Switch HTTP/2 off on this listener, or let clients connect to a shim, which offers HTTP/1.1 only.")
	case read.refusedByCheck():
		d.checked(read.header())
	default:
		d.unchecked()
	}
	if d.Verdict == Affected {
		d.adviseCommand("Then look for jobs that were made twice already:", "powerjob-shim duplicates "+e.server.Base()+" --app NAME --password-file FILE")
	}
	return d
}

// conclude sets the verdict and the sentences that explain it.
func (d *diagnosis) conclude(v Verdict, summary string, details ...string) {
	d.Verdict, d.Summary, d.Details = v, summary, details
}

// checked is the diagnosis if the server or a shim's gate asks for tokens: logins
// need no header then. header is that of the refused read.
func (d *diagnosis) checked(header headerState) {
	who, what := "the server", "the server's OpenAPI check"
	if d.gate {
		who, what = "the shim", "the gate of a shim on the way, not the server,"
	}
	switch {
	case header == headerPassed:
		d.conclude(Misled, "5.x clients take a refused call for one that passed here.",
			"A call that "+who+" refused arrives as passed: something on the way adds true beside "+who+"'s own false."+d.suspects())
		d.advise("Remove what adds "+openapi.AuthHeader+" (nginx: add_header). Tokens are checked, and "+who+" sends it by itself.",
			"Until then a client whose token has expired does not log in again: each of its calls fails.")
	case header == headerCased:
		d.recased()
	case header == headerDenied && d.gate:
		d.well(what + " asks for tokens, and its own header arrives in exact case.")
		d.advise("Whether the server checks tokens itself does not show through the gate: run doctor against the server's own address.")
	case header == headerDenied:
		d.well(what + " is on (it sends no header on logins), and its own header arrives in exact case.")
	default:
		d.lost("Tokens are checked by " + who + ", which sends the header, but the header does not arrive")
	}
}

// unchecked is the diagnosis if a read without a token is answered: then every
// answer should carry the header.
func (d *diagnosis) unchecked() {
	switch {
	case slices.ContainsFunc(d.seen[:probeGet], func(s sight) bool { return s.header() == headerCased }):
		d.recased()
	case d.all(headerPassed):
		d.well(openapi.AuthHeader + ": true arrives in exact case.")
	case d.all(headerNone) && !d.shim:
		d.affected("No answer carries the header: a 5.1.0 server with its check off, or a hop that removes it." + d.suspects())
		d.adviseCommand("Put the shim in front, and point the clients to it:", "powerjob-shim run --upstream "+d.server.Base())
		d.advise("Or upgrade the server to 5.1.1, whose own header then has to arrive in exact case: run doctor again.")
	default:
		d.lost("The header does not arrive as true on every answer")
	}
}

func (d *diagnosis) all(state headerState) bool {
	return !slices.ContainsFunc(d.seen[:probeGet], func(s sight) bool { return s.header() != state })
}

func (d *diagnosis) well(summary string) {
	d.conclude(Healthy, summary)
	d.SendsHeader = !d.shim || d.sendsItself()
	switch {
	case !d.shim:
		d.advise("Nothing needs to be done: 5.x clients execute every call once here.")
	case d.SendsHeader:
		d.advise("Nothing needs to be done: 5.x clients execute every call once here.",
			"The shim is no longer needed for the header: the server that answered sends it itself. For all servers, see the shim's /status.")
	default:
		d.advise("Nothing needs to be done, because a shim is on the way: 5.x clients execute every call once here.")
	}
}

func (d *diagnosis) affected(why string) {
	d.conclude(Affected, "5.x clients send every call twice here.", why)
}

func (d *diagnosis) lost(what string) {
	switch {
	case d.observing():
		d.affected("A shim is on the way, in mode: observe. It changes nothing, the header included.")
		d.advise("When its counts are what you expect, set mode: enforce in its configuration: it then writes the header and drops repetitions.")
	case d.shim:
		d.affected(what + "." + d.suspects())
		d.advise("A shim is on the way. " + d.shimWrote() + "what stands between it and you: something removes the header.")
	default:
		d.affected(what + "." + d.suspects())
		d.advise("Something on the way removes "+openapi.AuthHeader+". Find it by running doctor against each hop, from the server outwards,",
			"or put the shim next to the clients, so that every hop is on the server's side of it.")
	}
}

// shimWrote begins the advice where to look for a header that a shim on the way
// should have written, by what the shim says that it did.
func (d *diagnosis) shimWrote() string {
	if len(d.shims) > 0 && d.shims[len(d.shims)-1].Header != "" {
		return "It says that it wrote the header, so look at "
	}
	return "Check its rules (a header rule for /openApi/*), and "
}

func (d *diagnosis) recased() {
	var fields []wireclient.Field
	for _, s := range d.seen[:probeGet] {
		fields = append(fields, s.authFields()...)
	}
	i := slices.IndexFunc(fields, func(f wireclient.Field) bool { return f.Name != openapi.AuthHeader })
	name := fields[max(i, 0)].Name
	d.affected("The header arrives as " + name + "; the Java client knows only " + openapi.AuthHeader + "." + d.suspects())
	if name == strings.ToLower(name) {
		d.advise("A hop writes names in lower case: HAProxy (by default), Envoy (Istio, many gateways and ingresses), or HTTP/2 between two hops.",
			"HAProxy: h1-case-adjust with option h1-case-adjust-bogus-client. Envoy: header_key_format preserve_case. Both only as far as HTTP/1.1 goes.")
	} else {
		d.advise("A hop writes names its own way; this form is what Go's net/http makes: Caddy, Traefik and other proxies written in Go.")
	}
	switch {
	case d.observing():
		d.advise("The shim on the way is in mode: observe and changes nothing. With mode: enforce it drops the repetitions, and restores the case for clients that it is next to.")
	case d.shim:
		d.advise("The shim is on the server's side of that hop. Move it to the clients' side, so that nothing stands between clients and shim. Until then it drops the repetitions.")
	default:
		d.advise("Or put the shim next to the clients, so that every hop is on the server's side of it: it restores the exact case.")
	}
}

func (d *diagnosis) outsidePrefix() {
	const what = "A shim is on the way, and its prefix does not match the path of this URL: it does not take these requests for PowerJob's calls."
	if d.seen[probeAssert].envelope && d.seen[probeLogin].Status == 200 {
		d.affected(what)
	} else {
		d.conclude(NotPowerJob, "the answers are not those of PowerJob's OpenAPI.", what)
	}
	path := d.server.Prefix
	d.advise("In the shim's configuration set upstreams.NAME.openapi_prefix to " + path + "/openApi, if that is where the server has its calls. The shim's log has a warning with the very key.")
	if path != "" {
		d.advise("Or set strip_prefix to " + path + " on the shim's route, if the path was an ingress's.")
	}
	d.advise("Or correct the URL, if your clients have another one.")
}

func (d *diagnosis) oldServer() {
	d.conclude(OldServer, "there is no authApp (404): a 4.x or 5.0 beta server. 5.x clients cannot even start here.")
	d.advise("4.x clients are fine as they are: they log in by assert and never send twice.")
	if d.shim {
		d.advise("For 5.x clients add login_bridge to the configuration of the shim that is on the way: it then answers authApp in the server's place.")
		return
	}
	d.adviseCommand("For 5.x clients put the shim in front, with login_bridge in its configuration: it answers authApp in the server's place.",
		"powerjob-shim run --config shim.yaml --upstream "+d.server.Base())
}

func (d *diagnosis) failing() {
	who := "the server answers, but"
	for _, s := range d.seen[:probeGet] {
		if s.saysShim() {
			who = "a shim answers in the server's place, and"
		}
		if line := "It says: " + s.message; s.message != "" && s.Status != 200 && !d.advises(line) {
			d.advise(line)
		}
		const app = "Doctor asks for an app that does not exist. Where the shim's auth.allow lists apps, that alone is refused; yours may pass."
		if s.saysShim() && s.Status == 403 && !d.advises(app) {
			d.advise(app)
		}
	}
	d.conclude(Failing, who+" not with 200 where it should; 5.x clients throw on any other status.")
}

func (d *diagnosis) advises(text string) bool {
	return slices.ContainsFunc(d.Advice, func(a Advice) bool { return a.Text == text })
}

// strange is the diagnosis if the answers are not like PowerJob's.
func (d *diagnosis) strange(s sight) {
	d.conclude(NotPowerJob, "the answers are not those of PowerJob's OpenAPI.")
	const check = "check host and port (PowerJob's default is 7700)."
	switch {
	case s.Status >= 500:
		d.conclude(Failing, fmt.Sprintf("something answers in the server's place, with status %d.", s.Status))
		d.advise("Check that the PowerJob server to which it passes requests is up and reachable from there.")
	case s.Status/100 == 3:
		d.advise("It redirects to " + s.value("Location") + ": examine that address. The Java client would not send its calls there.")
	case s.Status == 401 || s.Status == 403:
		d.advise("Something on the way wants a login or forbids the path; it must let /openApi/ pass.")
	case s.Status == 404 && !s.servers404():
		d.Details = []string{"The 404 is not one of a PowerJob server's: a web server or an ingress answers with its default virtual host."}
		d.advise("It does not know the host name in this URL. Call it by the name that it knows (nginx: server_name; Ingress: host).",
			"Where a shim stands between, it passes its caller's Host on: set upstreams.NAME.host there, to upstream or to that name.",
			"If the name is right, it has no /openApi/ under this path: check the path, and host and port (PowerJob's default is 7700).")
	case s.Status == 404:
		d.adviseCommand("There is no /openApi/ here. If the server has a context path, add it; else "+check, "powerjob-shim doctor "+d.server.Base()+"/PATH")
	case s.Status == 400:
		d.adviseCommand("If this is a TLS port, ask it so; else "+check, "powerjob-shim doctor https://"+d.server.URL.Host+d.server.Prefix)
	default:
		d.advise("C" + check[1:])
	}
}

// adviseItsShim replaces the advice, which is for servers without a shim, by advice
// for the shim that asks.
func (d *diagnosis) adviseItsShim() {
	switch d.Verdict {
	case Affected:
		d.Advice = []Advice{{Text: "In mode: enforce, this shim mends that for the clients that call through it. It is needed until the server is on 5.1.1."}}
	case OldServer:
		d.Advice = []Advice{{Text: "5.x clients need login_bridge in this shim's configuration; 4.x clients are fine."}}
	}
}
