package body

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"powerjob-shim/rules"
)

const (
	// HoldTimeout is how long a body may take to arrive before its request goes on
	// without it being held. PowerJob's clients give up after 2 s.
	HoldTimeout = 10 * time.Second
	// firstBuffer is what a body gets before its first byte is there. From then
	// on it gets as much as it has sent: an announced length proves nothing.
	firstBuffer = 4 << 10
)

// ErrCut says that a body broke off, and so cannot be held.
var ErrCut = errors.New("the request's body broke off")

// Holder holds bodies in memory, within a budget that all of them share. Safe for
// concurrent use.
type Holder struct {
	Max int64 // bytes of all bodies at once; 0: none may be held that must be waited for

	used     atomic.Int64
	readings sync.Pool // of *reading
}

// Used returns how many bytes of the budget are taken.
func (h *Holder) Used() int64 { return h.used.Load() }

func (h *Holder) take(n int64) bool {
	if h.used.Add(n) > h.Max {
		h.used.Add(-n)
		return false
	}
	return true
}

// Incoming is a request's body on its way.
type Incoming struct {
	In     *Counted            // the body, which is also beneath the request's
	Answer http.ResponseWriter // of the same request
	Pace   Pace
	Limit  int64 // a larger body is not held, in bytes

	// Place is the request's connection, which can be read as far as it has come.
	// Nil: it cannot.
	Place Place
}

// Place is a connection whose Read, while it is still, returns 0, nil instead of
// reading from the network.
type Place interface{ SetStill(still bool) }

// Held is a request's body in memory.
type Held struct {
	Bytes []byte
	Why   string // a rules.Bypass... reason: it is not held; "": it is

	rd *reading // has its share of the budget; nil: none was needed
}

// Release gives the body's share of the budget back.
func (b Held) Release() {
	if b.rd != nil {
		b.rd.giveBack()
	}
}

// Hold reads the whole body of r. Where it must not or cannot be held, it returns
// why, and r.Body still yields all of it.
//
//  1. Content-Length says that it is too large: nothing is read.
//  2. It turns out too large, or is late: what was read is put back in front of
//     the rest.
//  3. It breaks off: that is an error, and nothing may be forwarded.
func (h *Holder) Hold(r *http.Request, i Incoming) (Held, error) {
	if r.ContentLength > i.Limit {
		return Held{Why: rules.BypassBodyTooLarge}, nil
	}
	if r.ContentLength == 0 {
		return Held{}, nil
	}
	begun, whole := i.In.arrived()
	if !whole {
		begun, whole = readArrived(r, i.Place)
	}
	if whole {
		return Held{Bytes: begun}, nil
	}
	rd, _ := h.readings.Get().(*reading)
	if rd == nil {
		rd = newReading(h)
	}
	held := Held{rd: rd}
	a, ok := rd.read(&Moving{ReadCloser: r.Body, Answer: i.Answer, In: i.In, Pace: i.Pace}, begun, i.Limit, r.ContentLength)
	switch {
	case !ok:
		held.Why = rules.BypassBodyTimeout
		r.Body, r.Trailer = refilled{&late{rd.arrives, r.Body}, r.Body}, nil
	case errors.Is(a.err, io.ErrUnexpectedEOF):
		return held, ErrCut
	case a.crowded:
		held.Why = rules.BypassBodyBudget
		r.Body = refilled{a.before(r.Body), r.Body}
	case a.err != nil:
		return held, a.err
	case int64(len(a.bytes)) > i.Limit:
		held.Why = rules.BypassBodyTooLarge
		r.Body = refilled{a.before(r.Body), r.Body}
	default:
		held.Bytes = a.bytes
	}
	return held, nil
}

// readArrived reads without waiting what came of r's body together with the
// header: most often all of it. It leaves alone bodies too large to have come so, and
// chunked ones, whose reader takes a Read of nothing for a fault. What it returns is
// no more than net/http had in memory before, and does not count against the budget.
func readArrived(r *http.Request, at Place) (body []byte, whole bool) {
	if at == nil || r.ContentLength < 0 || r.ContentLength > firstBuffer {
		return nil, false
	}
	at.SetStill(true)
	defer at.SetStill(false)
	buf, n := make([]byte, r.ContentLength), 0
	for n < len(buf) {
		more, err := r.Body.Read(buf[n:])
		n += more
		if errors.Is(err, io.EOF) {
			return buf[:n], true
		}
		if more == 0 {
			break // the next Read returns an error again
		}
	}
	return buf[:n:n], false
}
