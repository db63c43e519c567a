// Package legacy is a stand-in for a PowerJob server: its OpenAPI with believable
// answers over a small state, and a full record of all requests and executions.
// There, behind the shim, tests and the demo count.
//
// The simple use is a server on a loopback port:
//
//	s := legacy.New(legacy.Options{})           // a 5.1.0 server, its check off
//	url, err := s.Start()
//	defer s.Close()
//	... s.Executions(), s.Requests(), s.State()
//
// Server is also an http.Handler. Core is its part without HTTP: Serve executes a
// call directly.
//
// It is not PowerJob: nothing is scheduled, no worker is asked, and what the
// real server checks beyond ids, owners and states is left out. Facts are from
// PowerJob's sources, v4.3.9 to v5.1.1 (OpenAPIController, OpenApiInterceptor,
// OpenApiSecurityServiceImpl), and from answers of real servers.
package legacy

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Mode says which server is stood in for. They differ in the logins and in the
// answers' X-POWERJOB-AUTH-PASSED.
type Mode uint8

// The modes.
const (
	Legacy    Mode = iota // 5.1.0, check off (its default): no header, ever
	Patched               // 5.1.1, check off: true on every OpenAPI answer
	CheckOn               // 5.1.0 and later, check on: true or false, none on logins
	NoAuthApp             // 4.x and 5.0.x beta: no authApp (404), no header
)

// String returns "legacy", "patched", "check on" or "no authApp".
func (m Mode) String() string {
	switch m {
	case Patched:
		return "patched"
	case CheckOn:
		return "check on"
	case NoAuthApp:
		return "no authApp"
	default:
		return "legacy"
	}
}

// App is an application that clients may log in to.
type App struct {
	ID       int64
	Name     string
	Password string
}

// defaultApps are the apps when none are given.
var defaultApps = []App{{ID: 1, Name: "app1", Password: "pw"}}

// Input is one call as the server's dispatcher sees it.
type Input struct {
	Call   string            // "saveJob"
	Params map[string]string // the form, query first; nil for a JSON call
	JSON   []byte            // the body of a JSON call
	Token  string            // X-POWERJOB-ACCESS-TOKEN
	AppID  string            // X-POWERJOB-APP-ID
}

// Answer is the server's answer to a call.
type Answer struct {
	Status    int        // 200, or 404 for a call that this server does not have
	Auth      string     // value of X-POWERJOB-AUTH-PASSED; "": the header is not sent
	Body      []byte     // the JSON envelope
	Success   bool       // the envelope's success
	Message   string     // the envelope's message; "" where null
	Execution *Execution // set when a changing call was executed
	Login     int        // number of the login whose token this answer gives; 0: none
}

// Execution is one changing call that took effect.
type Execution struct {
	Seq     int       // 1, 2, ... in the order of executions
	Time    time.Time // by the core's clock
	Call    string
	AppID   int64
	Subject int64  // the id that the call named; 0 for a create
	Result  int64  // the id that the call made; 0: it makes none
	Input   string // canonical text of the parameters, ids included
	Token   string // fingerprint of the token that it came with; "" without
	Login   int    // number of the login that gave the token; 0: none or unknown
}

// Core is the server without HTTP. It is safe for concurrent use: one call is
// executed at a time.
type Core struct {
	mode Mode
	new  bool
	now  func() time.Time

	mu         sync.Mutex // protects what follows
	apps       []App
	state      State
	stamps     map[int64]stamps // of the jobs, by id
	executions []Execution
	logins     int
	issued     map[string]int // a token's fingerprint -> number of its login
}

// newCore returns a core without jobs.
func newCore(o Options) *Core {
	c := &Core{mode: o.Mode, new: o.New, apps: o.Apps, now: o.Now, state: newState(), stamps: map[int64]stamps{}, issued: map[string]int{}}
	if c.apps == nil {
		c.apps = defaultApps
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// has reports whether a server of this age has the call.
func (c *Core) has(call string) bool {
	h, known := handlers[call]
	return known && (!h.newer || c.new) && (call != "authApp" || c.mode != NoAuthApp)
}

// Serve executes one call. Bad input is a business error, as on a real server: status
// 200 and success:false.
func (c *Core) Serve(in Input) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := handlers[in.Call]
	if !c.has(in.Call) {
		return Answer{Status: 404, Auth: c.header(), Message: "Not Found", Body: notRouted(404, "/openApi/"+in.Call)}
	}
	a := Answer{Status: 200, Auth: c.header()}
	isLogin := in.Call == "authApp" || in.Call == "assert"
	if c.mode == CheckOn && !isLogin {
		if err := c.checkToken(in.Token, in.AppID); err != nil {
			a.Auth, a.Message = "false", err.Error()
			a.Body = encode(refusal{Message: err.Error(), Code: err.code})
			return a
		}
		a.Auth = "true"
	}
	p, err := parse(h.json, in)
	var out outcome
	if err == nil {
		out, err = h.run(c, p)
	}
	if err != nil {
		a.Message = message(err)
		a.Body = failure(in.Call, err)
		return a
	}
	a.Success = true
	a.Login = out.login
	a.Body = success(in.Call, out.data)
	if h.changes {
		token := Fingerprint(in.Token)
		e := Execution{
			Seq: len(c.executions) + 1, Time: c.now(), Call: in.Call, AppID: out.app,
			Subject: out.subject, Result: out.made, Input: p.canonical(), Token: token, Login: c.issued[token],
		}
		c.executions = append(c.executions, e)
		a.Execution = &e
	}
	return a
}

// header returns the auth header's value where no token is checked; "": no header.
func (c *Core) header() string {
	if c.mode == Patched {
		return "true"
	}
	return ""
}

// Executions returns every execution so far, in order.
func (c *Core) Executions() []Execution {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.executions)
}

// State returns a copy of the whole state, for comparisons.
func (c *Core) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.clone()
}

// LoginOf returns the number (1, 2, ...) of the login that gave a token; 0: this
// server never gave it.
func (c *Core) LoginOf(token string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.issued[Fingerprint(token)]
}

// refusal is the answer of the token check: it has no data field
// (JsonUtils leaves null fields out there).
type refusal struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // only plain values are ever given
		panic(err)
	}
	return b
}
