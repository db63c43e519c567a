package sim

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"text/tabwriter"
)

var (
	seeds  = flag.Int("seeds", 100, "histories of each family")
	family = flag.String("family", "", "only the family of this name")
	from   = flag.Uint64("from", 0, "the first seed")
	kind   = flag.String("kind", "", "doubled, dropped or bad: what -show looks for")
	show   = flag.Bool("show", false, "print the timeline of the first bad history of each family")
)

func TestTable(t *testing.T) {
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "family\thistories\tcalls\tdoubled\tdropped\tforeign\tbad states\tfaults")
	for _, f := range Families() {
		if *family != "" && *family != f.Name {
			continue
		}
		var doubled, dropped, foreign, bad, calls int
		faults := map[string]int{}
		shown := false
		for s := range uint64(*seeds) {
			r := Run(f, *from+s)
			calls += r.Calls
			doubled += min(1, r.Doubled)
			dropped += min(1, r.Dropped)
			foreign += min(1, r.Foreign)
			bad += min(1, r.BadStates)
			for k, n := range r.Faults {
				faults[k] += n
			}
			hit := map[string]bool{"": r.Bad(), "doubled": r.Doubled > 0, "dropped": r.Dropped > 0, "bad": r.BadStates > 0}[*kind]
			if *show && !shown && hit {
				shown = true
				fmt.Println(f.Name, "seed", *from+s, r.Doubled, r.Dropped, r.Foreign, r.BadStates)
				for _, l := range Explain(f, *from+s).Timeline {
					fmt.Println(l)
				}
			}
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%v\n", f.Name, *seeds, calls, doubled, dropped, foreign, bad, faults)
	}
	out.Flush()
}
