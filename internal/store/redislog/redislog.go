// Package redislog is the dedup store that several replicas of the shim share, on
// Redis or Valkey: all know what one replica has seen.
//
// The simple way to use it:
//
//	client := redislog.Connect(redislog.Connection{Addresses: []string{"redis:6379"}})
//	store := redislog.New(redislog.Options{Client: client, Prefix: "powerjob-shim:"})
//	defer store.Close()
//	store.Open(ctx, "default") // reads what is there already
//
// # How it works
//
// State machine replication. Redis holds no records, only a log: one stream for
// each upstream group, in which every arrival, answer and login is an entry.
// Each replica runs the same deterministic Machine (package dedup) and applies
// the entries in their order, with the time of Redis' clock in their IDs, so
// that all take the same decisions. One script appends an event and returns all
// entries since the last one that this replica knows, its own included: that is
// one round trip to claim and one to complete, and no step of the Machine had
// to be written a second time in Lua.
//
// One goroutine for each group sends the events that came while the last append
// was on its way, and reads what others wrote: at once while there is something to
// send, every 5 to 50 ms while somebody waits for another replica's call, else
// a few times a second.
//
// # What can go wrong
//
//  1. Redis does not answer in time, refuses, or answers nonsense. The event is
//     applied to this replica's Machine alone, at Redis' time as far as known,
//     and appended later. Calls flow on, deduplicated within the replica, which
//     also knows what all others did until then.
//  2. That goes on. After a few failures no call waits for Redis any more (the circuit is
//     open); every half second the store tries once to reach it. Calls that wait for
//     another replica's call learn that its outcome is unknown.
//  3. An append was executed and its answer lost. The entry shows up later,
//     perhaps twice; every event has a number, and is applied once.
//  4. A replica dies. One with calls in flight says every second that it lives;
//     after five seconds of silence the others count its calls as unknown.
//  5. Redis loses the log, or its end (a flush, a failover). Each replica still
//     knows what it read. It notices when new entries come before what it has read;
//     then it reads the whole log again and skips the events that it knows.
//  6. A replica starts. It reads what is left of the log: entries are removed when
//     they have expired.
package redislog

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"powerjob-shim/internal/store"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// Options are what a Store is made of.
type Options struct {
	Client redis.UniversalClient // not closed by the Store
	Prefix string                // begins every key
	// Secrets returns the secrets for the hashes in the log. The first one keys them, and
	// must be the same on all replicas. The others are older; tokens are still found under
	// them. It is called for each hash. If it is nil or returns none, the hashes are plain.
	Secrets func() [][]byte
	// Timeout bounds how long one request waits for Redis in total. Zero: 200 ms.
	Timeout time.Duration
	// Limits bound what is known of each upstream group. They must be the same
	// on all replicas, or one would forget early what another still knows.
	Limits dedup.Limits

	Logger *zap.Logger            // nil: nothing is logged
	Failed func(operation string) // called for each event that Redis did not take in time; nil: nobody
}

// Store implements store.Store on a log in Redis. Make one with New.
type Store struct {
	o       Options
	veil    veil
	replica uint64 // this one's name in the log
	lastID  atomic.Uint64

	stop context.CancelFunc
	life context.Context
	done sync.WaitGroup

	mu     sync.Mutex
	groups map[string]*group    // guarded by mu
	calls  map[dedup.ID]*flight // guarded by mu; this replica's, until Delivered
}

// flight is a call of this replica.
type flight struct {
	group *group
	left  time.Duration // how long it may still wait for Redis
}

var _ store.Store = (*Store)(nil)

// New returns a Store that has read nothing yet and connects when it is used.
func New(o Options) *Store {
	if o.Timeout <= 0 {
		o.Timeout = 200 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Failed == nil {
		o.Failed = func(string) {}
	}
	s := &Store{
		o: o, veil: veil{o.Secrets}, groups: map[string]*group{}, calls: map[dedup.ID]*flight{},
		replica: rand.Uint64(), //nolint:gosec // it must be unique, not secret
	}
	s.lastID.Store(rand.Uint64()) //nolint:gosec // as above
	s.life, s.stop = context.WithCancel(context.Background())
	return s
}

// Open reads the logs of groups, so that the first call finds what others know.
// It returns when that is done, or when ctx ends; then the reading goes on.
func (s *Store) Open(ctx context.Context, groups ...string) {
	for _, name := range groups {
		g := s.group(name)
		select {
		case <-g.read:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the Store after a last attempt to tell the others what they do not
// know yet. No method may be called after it.
func (s *Store) Close() {
	s.stop()
	s.done.Wait()
}

func (s *Store) group(name string) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		g = newGroup(s, name)
		s.groups[name] = g
		s.done.Go(g.run)
	}
	return g
}

// NextID implements store.Store.
func (s *Store) NextID() dedup.ID { return dedup.ID(s.lastID.Add(1)) }

// Arrive implements store.Store.
func (s *Store) Arrive(c dedup.Call) dedup.Ruling {
	g := s.group(c.Group)
	c.Key, c.Token, c.Addr = s.veil.key(c.Key), s.veil.token(c.Token), s.veil.addr(c.Addr)
	f := &flight{group: g, left: s.o.Timeout}
	s.mu.Lock()
	s.calls[c.ID] = f
	s.mu.Unlock()

	began := time.Now()
	d := g.submit(Arrival(c), f.left).Ruling
	f.left -= time.Since(began)
	if d.Verdict == dedup.Refuse {
		s.take(c.ID)
		g.refused()
	}
	return d
}

// Await implements store.Store.
func (s *Store) Await(ctx context.Context, id dedup.ID) (dedup.Ruling, error) {
	f := s.flight(id)
	if f == nil {
		return dedup.Ruling{Verdict: dedup.Fail, Outcome: dedup.Lost}, nil
	}
	return f.group.await(ctx, id)
}

// Finish implements store.Store.
func (s *Store) Finish(id dedup.ID, out dedup.Outcome) {
	if f := s.flight(id); f != nil {
		f.group.submit(Ending(id, out), f.left)
	}
}

// Leave implements store.Store. It does not wait.
func (s *Store) Leave(id dedup.ID) {
	if f := s.flight(id); f != nil {
		f.group.post(Leaving(id))
	}
}

// Delivered implements store.Store. The others learn of it with the next event.
func (s *Store) Delivered(id dedup.ID) {
	if f := s.take(id); f != nil {
		f.group.delivered(id)
	}
}

// Now implements store.Store. It appends an entry, because only the log has an order
// across replicas.
func (s *Store) Now(group string) time.Time {
	return s.group(group).submit(Moment(), s.o.Timeout/2).At
}

// Issued implements store.Store.
func (s *Store) Issued(in dedup.Issue) {
	in.Token, in.Addr = s.veil.token(in.Token), s.veil.addr(in.Addr)
	s.group(in.Group).submit(Login(in), s.o.Timeout/2)
}

// Presented implements store.Store. It does not wait: Issued does, for the authApp's
// own answer.
func (s *Store) Presented(group string, token access.Token) {
	s.group(group).post(Presentation(s.veil.token(token)))
}

// Undelivered implements store.Store. In the log it is the same as Presented: the
// token pays for nothing.
func (s *Store) Undelivered(group string, token access.Token) { s.Presented(group, token) }

func (s *Store) flight(id dedup.ID) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

func (s *Store) take(id dedup.ID) *flight {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.calls[id]
	delete(s.calls, id)
	return f
}

func (s *Store) all() []*group {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int { return strings.Compare(a.name, b.name) })
	return all
}

// Stats implements store.Store: what this replica knows, of all replicas' calls.
func (s *Store) Stats() (sum dedup.Stats) {
	for _, g := range s.all() {
		st := g.stats()
		sum.Entries += st.Entries
		sum.Bytes += st.Bytes
		sum.InFlight += st.InFlight
		sum.Evicted += st.Evicted
	}
	return sum
}

// Status implements store.Store.
func (s *Store) Status() store.Status {
	status := store.Status{Kind: "redis"}
	for _, g := range s.all() {
		if p := g.problem(); p != "" {
			status.Problems = append(status.Problems, p)
		}
	}
	return status
}
