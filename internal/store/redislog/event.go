package redislog

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// kind says which step of the Machine an event is.
type kind uint8

// The kinds. Their numbers are in the log and never change.
const (
	tick      kind = 1 // no step: only time passes, and its replica is alive
	arrive    kind = 2
	finish    kind = 3
	leave     kind = 4
	delivered kind = 5
	issued    kind = 6
	presented kind = 7
	alone     kind = 8 // its replica decided the events before this one without the log
)

// operations are the kinds' names in metrics.
var operations = map[kind]string{
	tick: "now", arrive: "arrive", finish: "finish", leave: "leave",
	delivered: "delivered", issued: "issued", presented: "presented", alone: "alone",
}

// Event is an entry of the log: one step, taken by one replica for all.
type Event struct {
	Replica uint64
	N       uint64 // counts each replica's events, from 1
	kind    kind

	call    dedup.Call    // of arrive; its Group is the log's
	id      dedup.ID      // of finish, leave
	ids     []dedup.ID    // of delivered
	outcome dedup.Outcome // of finish
	issue   dedup.Issue   // of issued; Requested in the log's time
	token   access.Token  // of presented
}

// Moment returns the event that only tells the time.
func Moment() *Event { return &Event{kind: tick} }

// Arrival returns the event of a call's arrival.
func Arrival(c dedup.Call) *Event { return &Event{kind: arrive, call: c} }

// Ending returns the event of a forwarded call's end.
func Ending(id dedup.ID, out dedup.Outcome) *Event {
	return &Event{kind: finish, id: id, outcome: out}
}

// Leaving returns the event of a caller's hang-up.
func Leaving(id dedup.ID) *Event { return &Event{kind: leave, id: id} }

// Login returns the event of a login that was answered with a token.
func Login(in dedup.Issue) *Event { return &Event{kind: issued, issue: in} }

// Presentation returns the event of a token on an authApp, or of one that did not
// reach its client.
func Presentation(t access.Token) *Event { return &Event{kind: presented, token: t} }

// unawaited reports whether nobody waits until e is applied.
func (e *Event) unawaited() bool {
	return e.kind == leave || e.kind == presented || e.kind == delivered || e.kind == alone
}

// version begins every entry. Replicas of another version skip entries that they
// cannot read, so a rolling update shares less for a while, but nothing wrong.
const version = 2

var errFormat = errors.New("not an event of this version")

// Flags of an arrive.
const (
	flagDedup = 1 << iota
	flagBody
	flagObserve
	flagCreates
	flagUnknown
	flagUnlisted
	flagIssued
)

// encode returns e in the log's format: lengths and numbers are varints.
// This function and decode are the format's description.
func (e *Event) encode() []byte {
	b := append(make([]byte, 0, 160), version, byte(e.kind))
	b = binary.BigEndian.AppendUint64(b, e.Replica)
	b = binary.AppendUvarint(b, e.N)
	switch e.kind {
	case arrive:
		c := &e.call
		b = binary.BigEndian.AppendUint64(b, uint64(c.ID))
		b = append(b, c.Key[:]...)
		b = append(b, c.Token[:]...)
		b = append(b, flag(c.Dedup, flagDedup)|flag(c.Body, flagBody)|flag(c.Observe, flagObserve)|
			flag(c.Subjects.Creates, flagCreates)|flag(c.Subjects.Unknown, flagUnknown)|flag(c.Subjects.Unlisted, flagUnlisted)|flag(c.Issued, flagIssued))
		b = appendAddr(b, c.Addr)
		b = appendAgent(b, c.Agent)
		b = appendString(b, c.App)
		b = binary.AppendUvarint(b, uint64(c.Window))
		b = binary.AppendUvarint(b, uint64(c.Lease))
		b = appendSubjects(b, c.Subjects.Known)
	case finish:
		b = binary.BigEndian.AppendUint64(b, uint64(e.id))
		b = append(b, byte(e.outcome.Kind), flag(e.outcome.Passed, 1))
		b = binary.AppendUvarint(b, uint64(e.outcome.Status))
		b = appendSubjects(b, e.outcome.Created)
		b = appendAnswer(b, e.outcome.Answer)
	case leave:
		b = binary.BigEndian.AppendUint64(b, uint64(e.id))
	case delivered:
		b = binary.AppendUvarint(b, uint64(len(e.ids)))
		for _, id := range e.ids {
			b = binary.BigEndian.AppendUint64(b, uint64(id))
		}
	case issued:
		in := &e.issue
		b = append(b, in.Token[:]...)
		b = append(b, flag(in.Bare, 1))
		b = appendAddr(b, in.Addr)
		b = appendAgent(b, in.Agent)
		b = appendString(b, in.App)
		b = binary.AppendVarint(b, in.Requested.UnixNano())
		b = binary.AppendUvarint(b, uint64(in.Window))
	case presented:
		b = append(b, e.token[:]...)
	}
	return b
}

// decode reads an entry. Anything that is not exactly an event is an error.
func decode(b []byte) (*Event, error) {
	r := reader{b: b}
	if r.byte() != version {
		return nil, errFormat
	}
	e := &Event{kind: kind(r.byte()), Replica: r.uint64(), N: r.uvarint()}
	switch e.kind {
	case tick, alone:
	case arrive:
		c := &e.call
		c.ID = dedup.ID(r.uint64())
		copy(c.Key[:], r.bytes(len(c.Key)))
		copy(c.Token[:], r.bytes(len(c.Token)))
		flags := r.byte()
		c.Dedup, c.Body, c.Observe = flags&flagDedup != 0, flags&flagBody != 0, flags&flagObserve != 0
		c.Subjects.Creates, c.Subjects.Unknown = flags&flagCreates != 0, flags&flagUnknown != 0
		c.Subjects.Unlisted, c.Issued = flags&flagUnlisted != 0, flags&flagIssued != 0
		c.Addr, c.Agent = r.addr(), r.agent()
		c.App = string(r.bytes(r.length()))
		c.Window, c.Lease = r.duration(), r.duration()
		c.Subjects.Known = r.subjects()
		r.bad = r.bad || c.Window <= 0
	case finish:
		e.id = dedup.ID(r.uint64())
		e.outcome.Kind, e.outcome.Passed = dedup.OutcomeKind(r.byte()), r.byte() != 0
		e.outcome.Status = int(r.uvarint())
		e.outcome.Created = r.subjects()
		e.outcome.Answer = r.answer()
		r.bad = r.bad || e.outcome.Kind > dedup.Lost || e.outcome.Kind == dedup.Kept && e.outcome.Answer == nil
	case leave:
		e.id = dedup.ID(r.uint64())
	case delivered:
		n := r.length()
		if n > len(r.b)/8 {
			return nil, errFormat
		}
		for range n {
			e.ids = append(e.ids, dedup.ID(r.uint64()))
		}
	case issued:
		in := &e.issue
		copy(in.Token[:], r.bytes(len(in.Token)))
		in.Bare = r.byte() != 0
		in.Addr, in.Agent = r.addr(), r.agent()
		in.App = string(r.bytes(r.length()))
		in.Requested = time.Unix(0, r.varint())
		in.Window = r.duration()
		r.bad = r.bad || in.Window <= 0
	case presented:
		copy(e.token[:], r.bytes(len(e.token)))
	default:
		return nil, errFormat
	}
	if r.bad || len(r.b) > 0 || e.N == 0 {
		return nil, errFormat
	}
	return e, nil
}

func flag(set bool, f byte) byte {
	if set {
		return f
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendAddr(b []byte, a netip.Addr) []byte {
	raw := a.AsSlice() // empty for the invalid address
	return append(append(b, byte(len(raw))), raw...)
}

func appendAgent(b []byte, a openapi.Agent) []byte {
	return append(binary.BigEndian.AppendUint64(b, a.Print), flag(a.OkHTTP, 1))
}

func (r *reader) agent() openapi.Agent {
	return openapi.Agent{Print: r.uint64(), OkHTTP: r.byte() != 0}
}

func appendSubjects(b []byte, all []openapi.Subject) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, s := range all {
		b = append(b, byte(s.Kind))
		b = binary.AppendVarint(b, s.ID)
	}
	return b
}

// reader takes fields off the front of b. After the first missing one it
// is bad and yields zeros.
type reader struct {
	b   []byte
	bad bool
}

var zeros [64]byte

// bytes returns the next n bytes without copying them.
func (r *reader) bytes(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return zeros[:min(n, len(zeros))]
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte     { return r.bytes(1)[0] }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.bytes(8)) }

func (r *reader) uvarint() uint64 { return number(r, binary.Uvarint) }
func (r *reader) varint() int64   { return number(r, binary.Varint) }

// number reads a number with read; 0 if there is none.
func number[T int64 | uint64](r *reader, read func([]byte) (T, int)) T {
	v, n := read(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads the length of something that must still be in b.
func (r *reader) length() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(v)
}

// maxDuration bounds windows and leases: time plus it must not overflow.
const maxDuration = 100 * 365 * 24 * time.Hour

func (r *reader) duration() time.Duration {
	v := r.uvarint()
	if v > uint64(maxDuration) {
		r.bad = true
		return 0
	}
	return time.Duration(v)
}

func (r *reader) addr() netip.Addr {
	n := int(r.byte())
	if n == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(r.bytes(n))
	r.bad = r.bad || !ok
	return a
}

func (r *reader) subjects() []openapi.Subject {
	n := r.length() // each has two bytes or more
	if n == 0 {
		return nil
	}
	all := make([]openapi.Subject, 0, min(n, 64))
	for range n {
		all = append(all, openapi.Subject{Kind: openapi.SubjectKind(r.byte()), ID: r.varint()})
		if r.bad {
			return nil
		}
	}
	return all
}
