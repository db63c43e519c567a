package sim

import (
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"pgregory.net/rapid"
)

var (
	seeds  = flag.Int("seeds", 0, "histories of each family; 0: 2,000 where none may go wrong, 500 where some may, and 50 with -race or -short")
	from   = flag.Uint64("from", 0, "the first seed")
	family = flag.String("family", "", "only the families whose name has this in it")
	kind   = flag.String("show", "", "doubled, dropped, bad or any: print the timeline of the first such history of each family")
)

// histories is how many histories of a family are played.
func histories(f Family) int {
	switch {
	case *seeds > 0:
		return *seeds
	case raceDetector || testing.Short():
		return 50
	case f.Allowed == Rates{}:
		return 2000 // one that goes wrong is enough
	}
	return 500 // enough to compare a rate (see judge)
}

// sum is what the histories of one family came to.
type sum struct {
	Family
	histories, calls, doubled, dropped, foreign, bad, unexplained int
	faults                                                        map[string]int
	first                                                         map[string]uint64 // the first seed of each kind
}

func (s *sum) add(seed uint64, r Result) {
	s.histories++
	s.calls += r.Calls
	for _, c := range []struct {
		kind string
		n    int
		sum  *int
	}{{"doubled", r.Doubled, &s.doubled}, {"dropped", r.Dropped, &s.dropped}, {"foreign", r.Foreign, &s.foreign}, {"bad", r.BadStates, &s.bad}, {"unexplained", r.Unexplained, &s.unexplained}} {
		if c.n == 0 {
			continue
		}
		*c.sum++
		for _, k := range []string{c.kind, "any"} {
			if _, seen := s.first[k]; !seen {
				s.first[k] = seed
			}
		}
	}
	for k, n := range r.Faults {
		s.faults[k] += n
	}
}

// playAll plays n(f) histories of each family f, on all processors.
func playAll(families []Family, n func(Family) int) []*sum {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // hardly anything is live: saves a fifth of the time and more
	families = slices.DeleteFunc(families, func(f Family) bool { return !strings.Contains(f.Name, *family) })
	sums := make([]*sum, len(families))
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				s := &sum{Family: families[i], faults: map[string]int{}, first: map[string]uint64{}}
				for seed := *from; seed < *from+uint64(n(s.Family)); seed++ {
					s.add(seed, Run(s.Family, seed))
				}
				sums[i] = s
			}
		})
	}
	for i := range families {
		next <- i
	}
	close(next)
	wg.Wait()
	return sums
}

func report(sums []*sum) {
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "histories\tcalls\tdoubled\tdropped\tforeign\tbad states\tfamily\tfaults")
	for _, s := range sums {
		var faults []string
		for _, k := range slices.Sorted(maps.Keys(s.faults)) {
			faults = append(faults, fmt.Sprintf("%s %d", k, s.faults[k]))
		}
		fmt.Fprintf(out, "%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", s.histories, s.calls, s.doubled, s.dropped, s.foreign, s.bad, s.Name, strings.Join(faults, ", "))
	}
	out.Flush()
	for _, s := range sums {
		if seed, ok := s.first[*kind]; ok {
			fmt.Printf("\n%s, seed %d:\n%s\n", s.Name, seed, strings.Join(Play(s.Family, Seeded(seed), true).Timeline, "\n"))
		}
	}
}

func TestNoHistoryGoesWrongMoreOftenThanItsFamilyAllows(t *testing.T) {
	sums := playAll(Families(), histories)
	report(sums)
	judge(t, sums)
}

// judge holds what histories came to against what their families allow.
func judge(t *testing.T, sums []*sum) {
	t.Helper()
	for _, s := range sums {
		if s.foreign > 0 {
			t.Errorf("%s: %d histories with an answer that belongs to another body; first seed %d", s.Name, s.foreign, s.first["foreign"])
		}
		for _, c := range []struct {
			kind    string
			n       int
			allowed float64
		}{{"doubled", s.doubled, s.Allowed.Doubled}, {"dropped", s.dropped, s.Allowed.Dropped}, {"bad", s.bad, s.Allowed.BadStates}} {
			// Three standard deviations more are chance where the histories are few.
			mean := c.allowed * float64(s.histories) / 1000
			most := mean + 3*math.Sqrt(mean)
			if float64(c.n) > most {
				t.Errorf("%s: %d of %d histories %s, allowed are %.1f; see: go test ./test/sim -run More -args -seeds 1 -from %d -family %q -show %s",
					s.Name, c.n, s.histories, c.kind, most, s.first[c.kind], s.Name, c.kind)
			}
		}
	}
}

// Each limit that docs/promise.md names is there: its generator shows it.
func TestEachLimitShows(t *testing.T) {
	report(playAll(Limits(), func(f Family) int { return max(histories(f)/10, 10) }))
	for _, f := range Limits() {
		const enough = 5000
		seed := uint64(0)
		for seed < enough && !Run(f, seed).Bad() {
			seed++
		}
		if seed == enough {
			t.Errorf("%s: nothing went wrong in %d histories: the limit is not one, or its generator does not show it", f.Name, enough)
		}
	}
}

func TestAHistoryIsTheSameEachTime(t *testing.T) {
	for _, f := range Families() {
		a, b := Play(f, Seeded(7), true), Play(f, Seeded(7), true)
		if !slices.Equal(a.Timeline, b.Timeline) {
			t.Errorf("%s: two timelines of one seed", f.Name)
		}
	}
}

// drawn makes choices that rapid can shrink.
type drawn struct{ t *rapid.T }

func (d drawn) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(d.t, "choice") }

// In the families that allow nothing, rapid looks for a history that goes
// wrong, and shrinks it to a short one.
func TestNoSmallHistoryGoesWrong(t *testing.T) {
	for _, f := range Families() {
		if f.Allowed != (Rates{}) || !strings.Contains(f.Name, *family) {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				r := Play(f, drawn{t}, true)
				if r.Bad() {
					t.Fatalf("doubled %d, dropped %d, foreign %d, bad states %d:\n%s",
						r.Doubled, r.Dropped, r.Foreign, r.BadStates, strings.Join(r.Timeline, "\n"))
				}
			})
		})
	}
}

// The simulation takes calls through the store as the proxy does: both are held to
// storetest.Order (the proxy in proxy/harness_test.go).
func TestTheSimulationKeepsTheOrderOfACallsSteps(t *testing.T) {
	for _, f := range slices.Concat(Families(), SharedStore()) {
		for seed := range uint64(10) {
			if r := Play(f, Seeded(seed), true); len(r.OutOfOrder) > 0 {
				t.Fatalf("%s, seed %d: %q", f.Name, seed, r.OutOfOrder)
			}
		}
	}
}
