package sim

import (
	"fmt"
	"strings"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/rules/dedup"
)

// server is a PowerJob server as far as the histories need it: it executes
// calls in the order in which they come, and keeps a record.
type server struct {
	w          *world
	tokens     int
	executions []*logical      // the calls that were executed, in order
	valid      map[string]bool // tokens, where the server checks them
}

type answer struct {
	status  int
	auth    string
	body    []byte
	refused bool // the server could not be connected to
	lost    bool // the request was sent, but no whole answer came back
}

// handle takes a request; reply is called once, when the shim learns the outcome.
func (s *server) handle(r client.Request, call *logical, reply func(answer)) {
	w := s.w
	if call != nil && w.RefuseRate > 0 && w.chance(w.RefuseRate) {
		w.result.Faults["dial"]++
		w.after(w.Net[0], func() { reply(answer{refused: true}) })
		return
	}
	valid := s.valid // what the gate of the process that took the request knows
	w.after(w.between(w.Net[0], w.Net[1]), func() {
		if !w.Replaced {
			valid = s.valid
		}
		if isLogin(r.Path) {
			if strings.HasSuffix(r.Path, "assert") { // a 4.x client's
				w.after(w.Work[0], func() { reply(answer{status: 200, body: []byte(`{"success":true,"data":1}`)}) })
				return
			}
			s.tokens++
			t := fmt.Sprintf("T%d", s.tokens)
			valid[t] = true
			body := fmt.Appendf(nil, `{"success":true,"data":{"appId":1,"token":%q}}`, t)
			w.after(w.between(w.Work[0], w.Work[1]), func() { reply(answer{status: 200, body: body}) })
			return
		}
		if (w.Checked || w.Checks) && !valid[token(r)] {
			w.result.Faults["false"]++
			w.after(w.between(w.Work[0], w.Work[1]), func() {
				reply(answer{status: 200, auth: "false", body: []byte(`{"success":false,"code":"-401"}`)})
			})
			return
		}
		s.execute(call, reply)
	})
}

func (s *server) execute(call *logical, reply func(answer)) {
	w := s.w
	work := w.between(w.Work[0], w.Work[1])
	if !call.op.read && w.SlowRate > 0 && w.chance(w.SlowRate) {
		w.result.Faults["slow"]++
		work = []time.Duration{1900 * time.Millisecond, 2100 * time.Millisecond, 4 * time.Second, 10 * time.Second}[w.rng.IntN(4)]
	}
	// It executes at some moment of its work and answers at the end.
	executes := w.between(0, work)
	lost := !call.op.read && w.LoseRate > 0 && w.chance(w.LoseRate)
	failed := !call.op.read && w.FailRate > 0 && w.chance(w.FailRate)
	w.after(executes, func() {
		if !failed && !call.op.read {
			s.executions = append(s.executions, call)
			w.note("server executes %s of %s", call.op.label, call.thread)
		}
		id := len(s.executions)
		w.after(work-executes, func() {
			switch {
			case lost:
				w.result.Faults["answer lost"]++
				reply(answer{lost: true})
			case failed:
				w.result.Faults["business error"]++
				reply(answer{status: 200, auth: s.auth(), body: fmt.Appendf(nil, `{"success":false,"data":null,"message":%q}`, call.op.label)})
			case call.op.status != 0 && call.op.status != 200:
				reply(answer{status: call.op.status, auth: s.auth(), body: []byte(`{"status":404}`)})
			default:
				reply(answer{status: 200, auth: s.auth(), body: fmt.Appendf(nil, `{"success":true,"data":%d,"message":%q}`, id, call.op.label)})
			}
		})
	})
}

func (s *server) auth() string {
	if s.w.Checked || s.w.Checks {
		return "true"
	}
	return ""
}

// operation is a distinct request: its name and body.
type operation struct {
	name    string
	label   string // name and body in short, in answers too
	read    bool   // it changes nothing, whatever the shim takes it for
	status  int    // of the answer; 0: 200
	subject string
	request client.Request
	key     dedup.Key
}

func (o *operation) withKey() *operation {
	o.key = dedup.KeyParts{Group: "default", Method: "POST", Path: o.request.Path, ContentType: o.request.ContentType, Body: o.request.Body}.Key()
	return o
}

func form(name, subject string) *operation {
	read := strings.HasPrefix(name, "fetch")
	body := "jobId=" + subject + "&appId=1"
	return (&operation{
		name: name, label: name + " " + body, read: read, subject: subject,
		request: client.Request{Path: "/openApi/" + name, ContentType: "application/x-www-form-urlencoded", Body: []byte(body)},
	}).withKey()
}

// poll is a call that changes nothing and that the catalogue does not know.
func poll(name string, status int) *operation {
	op := form(name, "1")
	op.read, op.status = true, status
	return op
}

func save(subject, value string) *operation {
	body := fmt.Sprintf(`{"id":%s,"appId":1,"jobName":%q}`, subject, value)
	return (&operation{
		name: "saveJob", label: "saveJob " + body, subject: subject,
		request: client.Request{Path: "/openApi/saveJob", ContentType: "application/json", Body: []byte(body)},
	}).withKey()
}
