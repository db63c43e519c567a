package doctor

import (
	"cmp"
	"context"
	"net"

	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules/openapi"
)

// Header is what a request asks the shims on its way with, who they are. Each
// adds a line of that name to the answer; see Mark. No client sends it.
const Header = "X-Powerjob-Shim-Doctor"

// nobody is an app that no server has.
const nobody = "powerjob-shim-doctor: no such app"

// probe is one request of the doctor. None can change anything: an unknown app
// is refused, reading the jobs of app 0 finds none, and a changing call by GET
// is refused by every server (their mappings are POST only) while a shim on
// the way marks its answer; so is runJob2, which older servers do not have at all.
// The second read has no app id header, as 4.x clients make it: a shim's gate
// says in its own words why it does not pass, or lets it pass; a server does neither.
type probe struct {
	call    string
	request wireclient.Request // without the server's context path
}

const (
	probeLogin = iota
	probeAssert
	probeRead
	probeGet
	probeNew
	probeBare
)

var probes = [...]probe{
	probeLogin:  {"authApp", wireclient.EncryptedLogin(nobody, "")},
	probeAssert: {"assert", wireclient.Form("assert", "appName", nobody)},
	probeRead:   {"fetchAllJob", asApp0(wireclient.Form("fetchAllJob", "appId", "0"))},
	probeGet:    {"disableJob", wireclient.Request{Method: "GET", Path: openapi.Prefix + "disableJob?jobId=-1&appId=0"}},
	probeNew:    {"runJob2", wireclient.Request{Method: "GET", Path: openapi.Prefix + "runJob2"}},
	probeBare:   {"fetchAllJob", wireclient.Form("fetchAllJob", "appId", "0")},
}

func asApp0(r wireclient.Request) wireclient.Request {
	r.Header = []wireclient.Field{{Name: openapi.AppIDHeader, Value: "0"}}
	return r
}

// send makes one probe.
func (t Target) send(ctx context.Context, pr probe) (sight, error) {
	pr.request.Path = t.Server.Prefix + pr.request.Path
	return t.ask(ctx, pr.request)
}

// ask sends a request with Header, and doctor as its User-Agent.
func (t Target) ask(ctx context.Context, r wireclient.Request) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	r.Header = append([]wireclient.Field{{Name: "User-Agent", Value: "powerjob-shim-doctor"}, {Name: Header, Value: "1"}}, r.Header...)
	answer, err := wireclient.Server{
		Host: cmp.Or(t.Host, t.Server.URL.Host),
		Dial: func(ctx context.Context) (net.Conn, error) { return t.dial(ctx, "http/1.1") },
	}.Ask(ctx, r)
	if err != nil {
		return sight{}, err
	}
	return look(answer), nil
}
