package proxy

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"powerjob-shim/proxy/listen"
	"powerjob-shim/rules"
)

const (
	// bodyTimeout is how long a call's body may take to arrive before the call
	// is forwarded without deduplication. PowerJob's clients give up after 2 s.
	bodyTimeout = 10 * time.Second
	// maxBodiesAtOnce bounds the memory of all bodies being held at once.
	maxBodiesAtOnce = 32 << 20
	// firstBuffer is what a body gets before its first byte is there. From then
	// on it gets as much as it has sent: an announced length is only a word.
	firstBuffer = 4 << 10
)

var errBodyCut = errors.New("the request's body broke off")

// budget is a number of bytes that requests share. The zero value grants none.
type budget struct {
	max  int64
	used atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

// heldBody is a request's body in memory.
type heldBody struct {
	bytes []byte
	rd    *reading // has its share of the budget; nil: none was needed
}

// release gives the body's share of the budget back.
func (b heldBody) release() {
	if b.rd != nil {
		b.rd.giveBack()
	}
}

// attach gives r the body that ex holds, to be read again where another
// connection must be tried.
func (ex *exchange) attach(r *http.Request) {
	r.ContentLength, r.TransferEncoding, r.GetBody = int64(len(ex.body)), nil, ex.newBody
	r.Body = http.NoBody
	if len(ex.body) > 0 {
		ex.firstBody.Reset(ex.body)
		r.Body = io.NopCloser(&ex.firstBody)
	}
}

// newBody returns the body that ex holds from its start.
func (ex *exchange) newBody() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(ex.body)), nil
}

// readBody reads the whole body of a call. Where it must not or cannot be held,
// it returns why, and r.Body still yields all of it.
//
//  1. Content-Length says that it is too large: nothing is read.
//  2. It turns out too large, or is late: what was read is put back in front of
//     the rest.
//  3. It breaks off: that is an error, and nothing may be forwarded.
func (p *Proxy) readBody(r *http.Request, ex *exchange) (held heldBody, bypass string, err error) {
	limit := ex.snap.Dedup.maxBody()
	if r.ContentLength > limit {
		return held, rules.BypassBodyTooLarge, nil
	}
	if r.ContentLength == 0 {
		return held, "", nil
	}
	begun, whole := ex.in.arrived()
	if !whole {
		begun, whole = readArrived(r)
	}
	if whole {
		held.bytes = begun
		return held, "", nil
	}
	rd, _ := p.dedupState.readings.Get().(*reading)
	if rd == nil {
		rd = newReading(&p.dedupState)
	}
	held.rd = rd
	moving := &movingBody{ReadCloser: r.Body, answer: &ex.answer, in: &ex.in, pace: ex.pace}
	a, ok := rd.read(moving, begun, limit, r.ContentLength)
	switch {
	case !ok:
		r.Body, r.Trailer = refilled{&late{rd.arrives, r.Body}, r.Body}, nil
		return held, rules.BypassBodyTimeout, nil
	case errors.Is(a.err, io.ErrUnexpectedEOF):
		return held, "", errBodyCut
	case a.crowded:
		r.Body = refilled{a.before(r.Body), r.Body}
		return held, rules.BypassBodyBudget, nil
	case a.err != nil:
		return held, "", a.err
	case int64(len(a.bytes)) > limit:
		r.Body = refilled{a.before(r.Body), r.Body}
		return held, rules.BypassBodyTooLarge, nil
	}
	held.bytes = a.bytes
	return held, "", nil
}

// readArrived reads without waiting what came of r's body together with the
// header: most often all of it. It does not begin bodies that cannot have come
// so, nor chunked ones, whose reader takes a Read of nothing for a fault. What
// it holds is not more than net/http held before: it is free of the budget.
func readArrived(r *http.Request) (body []byte, whole bool) {
	at := listen.PlaceOf(r)
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
			break // of an error the next Read tells again
		}
	}
	return buf[:n:n], false
}

// reading reads one body after another, each on a goroutine of its own: a read
// deadline would do with less, but net/http takes a late body for a broken
// connection. It is used again unless a body was late.
type reading struct {
	body            *movingBody
	begun           []byte      // has been read of it already
	overdue         atomic.Bool // the body is a stream now, and must not stand still
	limit, expected int64
	arrives         chan arrival
	late            *time.Timer
	run             func() // made once: a go statement with arguments allocates

	from    *dedupState  // whose budget and pool it uses
	share   atomic.Int64 // of the budget; far below zero once it was given back
	wasLate bool         // the goroutine may still be at work
}

func newReading(from *dedupState) *reading {
	rd := &reading{arrives: make(chan arrival, 1), late: time.NewTimer(bodyTimeout), from: from}
	rd.run = func() { rd.arrives <- rd.readUpTo() }
	return rd
}

// read reads body up to limit, begun included, which has been read of it already;
// expected is its announced length, -1: none. After
// bodyTimeout, or body.pace.Timeout if that is shorter, it returns false: what is
// read comes over rd.arrives then, and rd must not be used again.
func (rd *reading) read(body *movingBody, begun []byte, limit, expected int64) (arrival, bool) {
	rd.body, rd.begun, rd.limit, rd.expected = body, begun, limit, expected
	rd.share.Store(0)
	rd.late.Reset(min(bodyTimeout, body.pace.Timeout))
	go rd.run()
	select {
	case a := <-rd.arrives:
		rd.late.Stop()
		rd.body, rd.begun = nil, nil
		return a, true
	case <-rd.late.C:
		rd.wasLate = true
		rd.overdue.Store(true)
		return arrival{}, false
	}
}

// next reads a piece of the body. The deadline for the piece that the body is
// late with is set by whoever waits for it.
func (rd *reading) next(p []byte) (int, error) {
	if rd.overdue.Load() {
		return rd.body.Read(p)
	}
	return rd.body.ReadCloser.Read(p)
}

// take takes n bytes of the budget for this body.
func (rd *reading) take(n int64) bool {
	if !rd.from.bodies.take(n) {
		return false
	}
	if rd.share.Add(n) < 0 { // its request has ended, nobody would give it back
		rd.from.bodies.used.Add(-n)
		return false
	}
	return true
}

// giveBack gives back all that was taken, and lets nothing more be taken.
func (rd *reading) giveBack() {
	rd.from.bodies.used.Add(-rd.share.Swap(math.MinInt64 / 2))
	if !rd.wasLate {
		rd.from.readings.Put(rd)
	}
}

// arrival is what was read of a body, up to the limit.
type arrival struct {
	bytes   []byte
	err     error
	crowded bool // there is more, but no budget to hold it
}

// before puts what has arrived in front of the rest.
func (a arrival) before(rest io.Reader) io.Reader {
	if a.err != nil {
		rest = broken{a.err}
	}
	return io.MultiReader(bytes.NewReader(a.bytes), rest)
}

// broken is the rest of a body that broke off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// refilled is a body some of which has been read already.
type refilled struct {
	io.Reader
	io.Closer
}

// late is a body that somebody else is reading: it yields first what that one
// gets.
type late struct {
	arrives <-chan arrival // nil once it has come
	body    io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	if l.arrives != nil {
		a := <-l.arrives
		l.arrives, l.body = nil, a.before(l.body)
	}
	return l.body.Read(p)
}

// readUpTo reads the body to its end, or one byte beyond the limit. Its buffer
// grows with what has come, and takes from the budget before it does.
func (rd *reading) readUpTo() arrival {
	most := rd.limit + 1 // to see that it is too large
	if rd.expected >= 0 {
		most = min(most, rd.expected+1) // to see its end
	}
	buf := rd.begun
	for int64(len(buf)) <= rd.limit {
		if had := int64(cap(buf)); int64(len(buf)) == had {
			size := min(max(firstBuffer, 2*had), most)
			if !rd.take(size - had) {
				return arrival{bytes: buf, crowded: true}
			}
			buf = append(make([]byte, 0, size), buf...)
		}
		n, err := rd.next(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return arrival{bytes: buf}
		}
		if err != nil {
			return arrival{bytes: buf, err: err}
		}
	}
	return arrival{bytes: buf}
}
