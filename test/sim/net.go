package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/rules/openapi"
)

// callTimeout is the client's default for a whole call.
const callTimeout = 2 * time.Second

var (
	errTimeout = errors.New("timeout")
	errRefused = errors.New("connection refused")
	errReset   = errors.New("connection reset")
)

// exchange is one request on the network between a client and a shim.
type exchange struct {
	w        *world
	thread   *thread
	call     *logical // nil: a login
	request  client.Request
	deadline time.Time
	shim     *shim
	from     netip.Addr // a stranger's address

	done     bool // for the client
	gone     bool // the shim knows that the client hung up
	hangUp   func()
	response client.Response
	err      error
}

func (x *exchange) start(address string) {
	w := x.w
	w.open = slices.DeleteFunc(w.open, func(o *exchange) bool { return o.done })
	w.open = append(w.open, x)
	x.shim = w.shims[int(address[len(address)-1]-'0')]
	if w.Balanced {
		x.shim = w.shims[w.rng.IntN(len(w.shims))]
	}
	w.after(x.deadline.Sub(w.now), func() { x.finish(client.Response{}, errTimeout) })
	w.after(w.between(w.Net[0], w.Net[1]), func() {
		switch {
		case x.done:
		case w.now.Before(x.shim.downUntil):
			x.finish(client.Response{}, errRefused)
		default:
			if c := x.call; c != nil && c.gaveUpOn != nil && c.gaveUpOn != x.shim && w.now.Sub(c.gaveUp) < newsOfHangUp {
				c.overtakes = true
			}
			x.shim.serve(x)
		}
	})
}

// finish ends the exchange for the client. If the shim still works on it, it
// learns of the hang-up a moment later, unless a hop hides it.
func (x *exchange) finish(r client.Response, err error) {
	if x.done {
		return
	}
	x.done, x.response, x.err = true, r, err
	if err != nil {
		x.w.note("%s %s: %v", x.thread.name, x.name(), err)
		if errors.Is(err, errTimeout) && !x.w.HideHangUps {
			if x.call != nil {
				x.call.gaveUp, x.call.gaveUpOn = x.w.now, x.shim
			}
			x.w.after(x.w.Net[0]/2, func() {
				x.gone = true
				if x.hangUp != nil {
					x.hangUp()
				}
			})
		}
	}
	if x.thread.next != nil { // else it is a stranger's, who waits for nothing
		x.w.resume(x.thread)
	}
}

func (x *exchange) name() string {
	if x.call == nil {
		return "login"
	}
	return fmt.Sprintf("%s(%s)", x.call.op.name, token(x.request))
}

// answer writes an answer to the client and reports whether it was taken: it
// is not if the shim already knows that the client has hung up.
func (x *exchange) answer(status int, auth string, body []byte) bool {
	w := x.w
	if x.gone {
		return false
	}
	r := client.Response{Status: status, Proto: "HTTP/1.1", Body: body}
	if auth != "" {
		name := "X-POWERJOB-AUTH-PASSED"
		if w.loses(x.thread.proc) {
			name = "x-powerjob-auth-passed"
		}
		r.Header = []client.Field{{Name: name, Value: auth}}
	}
	if w.CutRate > 0 && w.chance(w.CutRate) {
		// The connection ends before the status line. A pooled one makes OkHttp
		// send again silently; the shim sees that writing failed.
		w.result.Faults["cut"]++
		w.note("%s %s: cut before the status line", x.thread.name, x.name())
		w.after(w.between(w.Net[0], w.Net[1]), func() { x.finish(client.Response{}, client.ErrStaleConnection) })
		return false
	}
	if w.LostWrites > 0 && x.call != nil && w.chance(w.LostWrites) {
		w.result.Faults["lost write"]++ // into a dead connection: nobody notices
		w.after(w.between(w.Net[0], w.Net[1]), func() { x.finish(client.Response{}, errReset) })
		return true
	}
	w.after(w.between(w.Net[0], w.Net[1]), func() { x.finish(r, nil) })
	return true
}

func token(r client.Request) string { return header(r, openapi.TokenHeader) }

// header returns the value of a request's field; "" if it has none.
func header(r client.Request, name string) string {
	for _, f := range r.Header {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
