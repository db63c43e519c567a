package doctor

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/rules/openapi"
)

// Header is what a request asks the shims on its way with, who they are. Each
// adds a line of that name to the answer; see Mark. No client sends it.
const Header = "X-Powerjob-Shim-Doctor"

// nobody is an app that no server has.
const nobody = "powerjob-shim-doctor: no such app"

// errClosed: the connection was closed before the first byte of an answer.
var errClosed = errors.New("closed without an answer")

// probe is one request of the doctor. None can change anything: an unknown app
// is refused, reading the jobs of app 0 finds none, and a changing call by GET
// is refused by every server (their mappings are POST only) while a shim on
// the way marks its answer; so is runJob2, which older servers do not have at all.
// The second read has no app id header, as 4.x clients make it: a shim's gate
// says in its own words why it does not pass, or lets it pass; a server does neither.
type probe struct {
	path                                   string // instead of the call's
	call, method, query, contentType, body string
	header                                 []client.Field
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
	probeLogin: {call: "authApp", method: "POST", contentType: "application/json; charset=utf-8",
		body: `{"appName":"` + nobody + `","encryptedPassword":"","encryptType":"md5"}`},
	probeAssert: {call: "assert", method: "POST", contentType: "application/x-www-form-urlencoded", body: "appName=" + url.QueryEscape(nobody)},
	probeRead: {call: "fetchAllJob", method: "POST", contentType: "application/x-www-form-urlencoded", body: "appId=0",
		header: []client.Field{{Name: openapi.AppIDHeader, Value: "0"}}},
	probeGet:  {call: "disableJob", method: "GET", query: "?jobId=-1&appId=0"},
	probeNew:  {call: "runJob2", method: "GET"},
	probeBare: {call: "fetchAllJob", method: "POST", contentType: "application/x-www-form-urlencoded", body: "appId=0"},
}

// send makes one request over a socket of its own: net/http would canonicalise
// the names that are to be looked at.
func (t Target) send(ctx context.Context, pr probe) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	conn, err := t.dial(ctx, "http/1.1")
	if err != nil {
		return sight{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, t.request(pr)); err != nil {
		return sight{}, err
	}
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return sight{}, errClosed
	}
	r, err := client.ReadResponse(in)
	if err != nil {
		return sight{}, err
	}
	return look(r), nil
}

func (t Target) request(pr probe) string {
	var b strings.Builder
	path := cmp.Or(pr.path, t.Server.Prefix+openapi.Prefix+pr.call)
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: powerjob-shim-doctor\r\n%s: 1\r\nConnection: close\r\n",
		pr.method, path, pr.query, cmp.Or(t.Host, t.Server.URL.Host), Header)
	for _, f := range pr.header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	if pr.method == "POST" {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n", pr.contentType, len(pr.body))
	}
	return b.String() + "\r\n" + pr.body
}
