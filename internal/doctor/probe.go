package doctor

import (
	"cmp"
	"context"
	"net"

	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules/openapi"
)

// Header is the header by which a request asks the shims on its way to identify
// themselves: each adds a header of this name to the answer, see Shim.Mark. No client
// sends it.
const Header = "X-Powerjob-Shim-Doctor"

// nobody is the name of an app that no server has.
const nobody = "powerjob-shim-doctor: no such app"

// probe is one request of the doctor. None can change anything: servers refuse an
// unknown app, app 0 has no jobs to read, and every server refuses a changing call
// by GET (their mappings are POST only), while a shim on the way marks its answer.
// runJob2 by GET is refused, too; older servers do not have the call at all. The
// second read has no app id header, like those of 4.x clients: a shim's gate refuses
// it in its own words or lets it pass; a server does neither.
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
