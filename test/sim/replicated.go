package sim

import (
	"errors"
	"slices"
	"time"

	"powerjob-shim/internal/store/redislog"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

const (
	storeTimeout = 200 * ms        // what a request may wait for the store
	openTimeout  = 3 * time.Second // what a starting shim waits for it
)

// replicated is a shim's end of a store that shims share over a network: the
// real Node of internal/store/redislog, driven as Store drives it, on a line of its
// own to the log.
type replicated struct {
	w     *world
	shim  *shim
	log   *log
	line  line
	node  *redislog.Node
	life  int
	left  map[dedup.ID]time.Duration // what each call may still wait
	asked []*question
	held  []*holder

	busy   bool // an append is on its way
	poked  bool
	rounds int // scheduled so far: only the last one scheduled begins
}

// question is an event that somebody waits for.
type question struct {
	p    *redislog.Pending
	then func()
}

// holder is a call that waits for another's end.
type holder struct {
	id      dedup.ID
	decided <-chan dedup.Ruling
	gone    func() bool
	then    func(dedup.Ruling)
}

func newReplicated(w *world, s *shim, l *log) *replicated {
	r := &replicated{w: w, shim: s, log: l, line: line{w: w}}
	r.begin()
	return r
}

// begin starts a new process, which knows nothing.
func (r *replicated) begin() {
	r.life++
	r.log.replicas++
	r.node = redislog.NewNode(redislog.NodeOptions{Group: "default", Replica: r.log.replicas, Timeout: storeTimeout, Limits: dedup.Limits{Entries: r.w.Entries}})
	r.left, r.asked, r.held, r.busy = map[dedup.ID]time.Duration{}, nil, nil, false
	r.schedule()
}

func (r *replicated) restart() {
	back := r.shim.downUntil
	r.shim.downUntil = r.w.now.Add(openTimeout)
	r.begin()
	node := r.node
	var look func()
	look = func() { // it listens once it has read the log
		switch {
		case node != r.node || r.w.now.After(r.shim.downUntil):
		case node.CaughtUp():
			r.shim.downUntil = back
		default:
			r.w.background(ms, look)
		}
	}
	look()
}

func (r *replicated) nextID() dedup.ID {
	r.log.lastID++
	return r.log.lastID
}

func (r *replicated) arrive(c dedup.Call, then func(dedup.Ruling)) {
	began := r.w.now
	p := r.post(redislog.Arrival(c))
	r.wait(p, storeTimeout, func() {
		r.left[c.ID] = storeTimeout - r.w.now.Sub(began)
		then(p.Ruling)
	})
}

func (r *replicated) await(id, _ dedup.ID, gone func() bool, then func(dedup.Ruling)) {
	if gone() {
		r.delivered(id)
		return
	}
	decided := r.node.Waiting(id)
	if decided == nil {
		then(dedup.Ruling{Verdict: dedup.Fail, Outcome: dedup.Lost})
		return
	}
	r.held = append(r.held, &holder{id, decided, gone, then})
	r.poke()
	r.settle()
}

func (r *replicated) leave(id dedup.ID) {
	r.post(redislog.Leaving(id))
	if i := slices.IndexFunc(r.held, func(h *holder) bool { return h.id == id }); i >= 0 {
		r.held = slices.Delete(r.held, i, i+1)
		r.delivered(id)
	}
}

func (r *replicated) finish(id dedup.ID, out dedup.Outcome, then func()) {
	r.wait(r.post(redislog.Ending(id, out)), r.left[id], then)
}

func (r *replicated) delivered(id dedup.ID) {
	delete(r.left, id)
	if r.node.Delivered(id) {
		r.poke()
	}
}

func (r *replicated) now(then func(time.Time)) {
	p := r.post(redislog.Moment())
	r.wait(p, storeTimeout/2, func() { then(p.At) })
}

func (r *replicated) issued(in dedup.Issue, then func()) {
	r.wait(r.post(redislog.Login(in)), storeTimeout/2, then)
}

func (r *replicated) presented(t access.Token)   { r.post(redislog.Presentation(t)) }
func (r *replicated) undelivered(t access.Token) { r.post(redislog.Presentation(t)) }

func (r *replicated) post(e *redislog.Event) *redislog.Pending {
	p := r.node.Post(r.w.now, e)
	if r.node.Works() {
		r.poke()
	}
	return p
}

// wait calls then when p is applied, after limit at the latest, whatever the log does.
func (r *replicated) wait(p *redislog.Pending, limit time.Duration, then func()) {
	r.asked = append(r.asked, &question{p, then})
	life := r.life
	hurry := func() {
		if life == r.life {
			r.node.Hurry(r.w.now, p)
			r.settle()
		}
	}
	if limit > 0 && !p.Applied() {
		r.w.after(limit, hurry)
		return
	}
	hurry()
}

// settle goes on with all questions whose event is applied, and all holders whose
// decision has come. Each of them may add or remove others.
func (r *replicated) settle() {
	for {
		if i := slices.IndexFunc(r.asked, func(q *question) bool { return q.p.Applied() }); i >= 0 {
			q := r.asked[i]
			r.asked = slices.Delete(r.asked, i, i+1)
			q.then()
			continue
		}
		i := slices.IndexFunc(r.held, func(h *holder) bool { return len(h.decided) > 0 })
		if i < 0 {
			return
		}
		h := r.held[i]
		r.held = slices.Delete(r.held, i, i+1)
		d := <-h.decided
		r.node.Resumed(h.id)
		if !h.gone() {
			h.then(d)
		}
	}
}

func (r *replicated) poke() {
	r.poked = true
	if !r.busy {
		r.schedule()
	}
}

// schedule schedules the next round for when it is due.
func (r *replicated) schedule() {
	low, high, early := r.node.Pause()
	if high > low {
		low = r.w.between(low, high)
	}
	if early && r.poked {
		low = 0
	}
	r.rounds++
	round, life := r.rounds, r.life
	r.w.background(low, func() {
		if round == r.rounds && life == r.life && !r.busy {
			r.round()
		}
	})
}

// round does what Store's does: one append, tried again if only the connection broke.
func (r *replicated) round() {
	r.busy, r.poked = true, false
	began, life, tries := r.w.now, r.life, 0
	a := r.node.Next(began)
	var done func(redislog.Page, error)
	send := func() { r.line.send(r.log, a, began.Add(a.Timeout), done) }
	done = func(p redislog.Page, err error) {
		if life != r.life {
			return
		}
		if tries++; tries == 1 && errors.Is(err, errReset) {
			send()
			return
		}
		r.busy = false
		if err != nil {
			r.node.Failed(r.w.now, err)
		} else {
			r.node.Succeeded(r.w.now, p, r.w.now.Sub(began))
		}
		r.settle()
		r.schedule()
	}
	send()
}
