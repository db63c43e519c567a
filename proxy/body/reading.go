package body

import (
	"bytes"
	"errors"
	"io"
	"math"
	"sync/atomic"
	"time"
)

// reading reads one body after another, each on a goroutine of its own. A read deadline
// would be simpler, but after one net/http takes the connection for broken. A reading is
// used again unless a body was late.
type reading struct {
	body            *Moving
	begun           []byte       // the part of the body that was read before
	overdue         atomic.Bool  // the body is a stream now, and must keep its pace
	limit, expected int64        // see read
	arrives         chan arrival // gets the result of readUpTo; has room for one
	late            *time.Timer
	run             func() // made once: a go statement with arguments allocates

	from    *Holder      // its budget and pool are used
	share   atomic.Int64 // bytes of the budget; far below zero once given back
	wasLate bool         // the goroutine may still run
}

func newReading(from *Holder) *reading {
	rd := &reading{arrives: make(chan arrival, 1), late: time.NewTimer(HoldTimeout), from: from}
	rd.run = func() { rd.arrives <- rd.readUpTo() }
	return rd
}

// read reads body up to limit bytes, including begun, the part that was read before.
// expected is the announced length; -1: none. After HoldTimeout, or body.Pace.Timeout if
// that is shorter, it returns false: the result comes over rd.arrives later, and rd must
// not be used again.
func (rd *reading) read(body *Moving, begun []byte, limit, expected int64) (arrival, bool) {
	rd.body, rd.begun, rd.limit, rd.expected = body, begun, limit, expected
	rd.share.Store(0)
	rd.late.Reset(min(HoldTimeout, body.Pace.Timeout))
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

// next reads a piece of the body. Once the body is overdue, Moving sets a deadline for each
// piece. For the piece that was pending by then, the stream's reader, who waits for it in
// late, sets one.
func (rd *reading) next(p []byte) (int, error) {
	if rd.overdue.Load() {
		return rd.body.Read(p)
	}
	return rd.body.ReadCloser.Read(p)
}

// take takes n bytes of the budget for this body.
func (rd *reading) take(n int64) bool {
	if !rd.from.take(n) {
		return false
	}
	if rd.share.Add(n) < 0 { // its request has ended: nobody would give the bytes back
		rd.from.used.Add(-n)
		return false
	}
	return true
}

// giveBack gives back all that was taken, and makes take fail from then on.
func (rd *reading) giveBack() {
	rd.from.used.Add(-rd.share.Swap(math.MinInt64 / 2))
	if !rd.wasLate {
		rd.from.readings.Put(rd)
	}
}

// arrival is the part of a body that was read.
type arrival struct {
	bytes   []byte
	err     error // other than io.EOF
	crowded bool  // there may be more, but no budget to hold it
}

// before returns a reader of what has arrived, and then of the rest.
func (a arrival) before(rest io.Reader) io.Reader {
	if a.err != nil {
		rest = broken{a.err}
	}
	return io.MultiReader(bytes.NewReader(a.bytes), rest)
}

// broken is the rest of a body that broke off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// refilled is a body whose Reader yields again what was read before.
type refilled struct {
	io.Reader
	io.Closer
}

// late is a body that the goroutine of a reading is still reading. It first waits for what
// that goroutine has read.
type late struct {
	arrives <-chan arrival // nil once that has come
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
