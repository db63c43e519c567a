package redislog

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
)

// crowd is a replica that knows of many calls in flight.
type crowd struct {
	r  *Replica
	at time.Time
	n  map[uint64]uint64 // events of each replica
}

func newCrowd() *crowd {
	return &crowd{r: NewReplica("g", dedup.Limits{InFlight: 1 << 20}), at: time.Unix(1_000_000, 0), n: map[uint64]uint64{}}
}

func (c *crowd) apply(replica uint64, e *Event) dedup.Verdict {
	c.n[replica]++
	c.at = c.at.Add(time.Microsecond)
	e.Replica, e.N = replica, c.n[replica]
	d, _, _ := c.r.Apply(c.at, e)
	return d.Verdict
}

// arrive takes in a call of which there are many equal ones.
func (c *crowd) arrive(replica uint64, id, key int) dedup.Verdict {
	in := dedup.Call{ID: dedup.ID(id), App: "1", Dedup: true, Body: true, Window: 5 * time.Second, Lease: time.Hour}
	binary.BigEndian.PutUint64(in.Key[:], uint64(key))
	return c.apply(replica, Arrival(in))
}

// crowds are what a replica may know much of: each adds the n-th.
var crowds = []struct {
	name string
	add  func(c *crowd, n int)
}{
	{"leaders", func(c *crowd, n int) { c.arrive(1, n+1, n) }},
	{"leaders with a waiter each", func(c *crowd, n int) { c.arrive(1, 2*n+1, n); c.arrive(1, 2*n+2, n) }},
	{"waiters of one leader", func(c *crowd, n int) { c.arrive(1, n+1, 0) }},
}

// heartbeats pass, and replica 2 dies early.
func (c *crowd) heartbeats() {
	c.apply(2, Moment())
	for range 2 * deadAfter / heartbeat {
		c.at = c.at.Add(heartbeat)
		c.apply(1, Moment())
	}
}

// A heartbeat costs nothing for each call that goes on: it allocates as much beside
// many as beside few. BenchmarkAHeartbeat is the same in time.
func TestAHeartbeatCostsNothingForCallsThatGoOn(t *testing.T) {
	for _, kind := range crowds {
		t.Run(kind.name, func(t *testing.T) {
			cost := map[int]float64{}
			for _, size := range []int{10, 5_000} {
				c := newCrowd()
				for n := range size {
					kind.add(c, n)
				}
				c.heartbeats()
				cost[size] = math.Inf(1)
				for range 10 { // what others allocate meanwhile does not count
					cost[size] = min(cost[size], testing.AllocsPerRun(5, func() {
						c.at = c.at.Add(heartbeat)
						c.apply(1, Moment())
					}))
				}
				if in := c.r.machine.Stats().InFlight; in < size {
					t.Fatalf("%d calls are in flight, want %d", in, size)
				}
			}
			if cost[5_000] > cost[10]+1 {
				t.Errorf("%v allocations beside 10, %v beside 5,000", cost[10], cost[5_000])
			}
		})
	}
}

func BenchmarkAHeartbeat(b *testing.B) {
	for _, kind := range crowds {
		for _, size := range []int{1, 1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, size), func(b *testing.B) {
				c := newCrowd()
				for n := range size {
					kind.add(c, n)
				}
				c.heartbeats()
				for b.Loop() {
					c.at = c.at.Add(time.Millisecond)
					c.apply(1, Moment())
				}
			})
		}
	}
}

func TestWhoWaitsForALeaderWhoseLeaseEndsGoesOn(t *testing.T) {
	c := newCrowd()
	first := dedup.Call{ID: 1, App: "1", Dedup: true, Body: true, Window: 5 * time.Second, Lease: 2 * time.Second}
	c.apply(1, Arrival(first))
	second := first
	second.ID = 2
	second.Lease = time.Hour
	if v := c.apply(1, Arrival(second)); v != dedup.Wait {
		t.Fatalf("verdict %d, want to wait", v)
	}
	for _, step := range []struct{ after, resumed int }{{1, 0}, {1, 1}, {1, 0}} {
		c.at = c.at.Add(time.Duration(step.after) * time.Second)
		c.n[1]++
		_, resumed, _ := c.r.Apply(c.at, &Event{Replica: 1, N: c.n[1], kind: tick})
		if len(resumed) != step.resumed {
			t.Fatalf("%v: %d went on, want %d", c.at, len(resumed), step.resumed)
		}
		if len(resumed) == 1 && (resumed[0].ID != 2 || resumed[0].Ruling.Verdict != dedup.Fail || resumed[0].Ruling.Outcome != dedup.Lost) {
			t.Errorf("got %+v", resumed[0])
		}
	}
}

// While the log cannot be reached, an event costs nothing for those before it.
func TestAnEventThatIsDecidedAloneLooksAtNoneBeforeIt(t *testing.T) {
	n := NewNode(NodeOptions{Group: "g", Replica: 1, Timeout: time.Second})
	now := time.Unix(1_000_000, 0)
	n.health.open = true
	for i := range 2_000 {
		n.Post(now, Presentation(access.Token{1, byte(i), byte(i >> 8)}))
	}
	if len(n.queue) != 2_000 || n.applied < 1_999 {
		t.Errorf("of %d events the first %d are known to be applied", len(n.queue), n.applied)
	}
}
