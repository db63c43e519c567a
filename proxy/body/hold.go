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
	// firstBuffer is the size of a body's buffer before its first byte comes. The buffer
	// then grows with what has come: an announced length proves nothing.
	firstBuffer = 4 << 10
)

// ErrCut says that a body broke off, so that it cannot be held.
var ErrCut = errors.New("the request's body broke off")

// Holder holds bodies in memory, within a budget that they share. Safe for concurrent use.
type Holder struct {
	Max int64 // bytes of all bodies at once; 0: only bodies that came with the header are held

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
	In     *Counted            // counts the body; the request's Body reads from it
	Answer http.ResponseWriter // of the same request
	Pace   Pace
	Limit  int64 // a larger body is not held, in bytes

	// Place is the request's connection, if bytes that have arrived can be read from it
	// without waiting. Nil: they cannot.
	Place Place
}

// Place is a connection whose Read returns 0, nil instead of reading from the network
// after SetStill(true), until SetStill(false).
type Place interface{ SetStill(still bool) }

// Held is a request's body in memory.
type Held struct {
	Bytes []byte
	Why   string // why it is not held, a rules.Bypass... reason; "": it is held

	rd *reading // has the share of the budget; nil: none was taken
}

// Release gives the body's share of the budget back.
func (b Held) Release() {
	if b.rd != nil {
		b.rd.giveBack()
	}
}

// Hold reads the whole body of r. If the body is not held, Held.Why says why, and r.Body
// still yields all of it:
//
//  1. If its Content-Length is too large, nothing is read.
//  2. If it turns out too large, comes late, or finds no room in the budget, what was
//     read is put back in front of the rest.
//
// If the body breaks off, Hold returns an error, and nothing may be forwarded.
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

// readArrived reads the part of r's body that came together with the header, without
// waiting. Most often that is all of it. It does not try bodies that are too large to
// have come with the header, or chunked ones, whose reader treats a Read of 0 bytes as an
// error. net/http had the bytes in memory before, so they do not count against the budget.
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
