package sim

import (
	"fmt"
	"net/netip"
	"time"

	"powerjob-shim/internal/standin/client"
)

// intrude has strangers call beside the clients, with tokens that nobody gave
// out: the calls that the clients make and others, with a token of their own for
// each call or one for all, from their own addresses. The gate refuses them all.
func (w *world) intrude(from time.Duration) {
	stranger := &thread{w: w, name: "stranger", proc: &process{w: w, index: 90}}
	for i := range 40 {
		w.after(from+w.between(0, 10*w.Think[1]), func() {
			op := w.ops[w.rng.IntN(len(w.ops))]
			r := op.request
			r.Header = []client.Field{
				{Name: "X-POWERJOB-APP-ID", Value: "1"},
				{Name: "X-POWERJOB-ACCESS-TOKEN", Value: fmt.Sprintf("bogus%d", i*w.rng.IntN(2))},
			}
			x := &exchange{w: w, thread: stranger, request: r, deadline: w.now.Add(callTimeout), call: &logical{thread: stranger.name, proc: stranger.proc, op: op}}
			if w.Addresses {
				x.from = netip.AddrFrom4([4]byte{10, 9, 0, byte(w.rng.IntN(2))})
			}
			x.start("s0")
		})
	}
}
