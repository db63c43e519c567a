package sim

import "time"

const ms = time.Millisecond

// dense is traffic in which equal calls of several threads overlap all the
// time: far more so than any real deployment's.
func dense(name string, loss Loss, changes ...func(*Family)) Family {
	f := Family{
		Name: name, Loss: loss, Saves: true, Shims: 1,
		Processes: [2]int{2, 3}, Threads: [2]int{1, 3}, Calls: [2]int{3, 6},
		Think: [2]time.Duration{0, 12 * ms}, Net: [2]time.Duration{ms / 10, 2 * ms}, Work: [2]time.Duration{ms, 8 * ms},
	}
	for _, change := range changes {
		change(&f)
	}
	return f
}

func single(f *Family)       { f.Threads = [2]int{1, 1} }
func oneProcess(f *Family)   { f.Processes, f.Threads = [2]int{1, 1}, [2]int{2, 3} }
func manyThreads(f *Family)  { f.Processes, f.Threads = [2]int{2, 2}, [2]int{8, 8} }
func mostlyOwn(f *Family)    { f.Own, f.Calls = true, [2]int{8, 14} }
func preempted(f *Family)    { f.Preempt = true }
func starting(f *Family)     { f.Starting = true }
func replaced(f *Family)     { f.Replaced = true }
func unlisted(f *Family)     { f.Unlisted = true }
func strangers(f *Family)    { f.Strangers = true }
func secondsApart(f *Family) { f.Think[1] = 3 * time.Second }
func checks(f *Family)       { f.Checks = true }
func checked(f *Family)      { f.Checked = true }
func slow(f *Family)         { f.SlowRate = 0.15 }
func slowNet(f *Family)      { f.Net[1] = 10 * ms }
func cuts(f *Family)         { f.CutRate = 0.1 }
func upstream(f *Family)     { f.LoseRate, f.FailRate, f.RefuseRate = 0.05, 0.1, 0.05 }
func twoShims(f *Family)     { f.Shims, f.Shared = 2, true }

func allow(doubled, dropped, bad float64) func(*Family) {
	return func(f *Family) { f.Allowed = Rates{doubled, dropped, bad} }
}

// Families are histories in which the promise holds, or comes as near to it as
// what is seen on the wire allows. Each of the first group comes with and
// without trusted addresses, and with one shim and with two that share a store.
func Families() []Family {
	var all []Family
	for _, f := range []struct{ plain, addressed Family }{
		both("header always lost, single-threaded", Always, Rates{}, Rates{}, single),
		both("header always lost, threads", Always, Rates{8, 0, 1}, Rates{3, 0, 1}),
		both("header always lost, one process of threads", Always, Rates{2, 0, 1}, Rates{2, 0, 1}, oneProcess),
		both("header always lost, threads that are preempted", Always, Rates{15, 0, 2}, Rates{4, 0, 1}, preempted),
		both("header always lost, one process of threads that are preempted", Always, Rates{2, 0, 1}, Rates{2, 0, 1}, oneProcess, preempted),
		both("header never lost", Never, Rates{}, Rates{}),
		both("header lost for some processes", SomeProcesses, Rates{45, 34, 4}, Rates{2, 1, 1}),
		both("header lost at random", AtRandom, Rates{55, 60, 3}, Rates{34, 24, 2}),
		both("processes starting, header always lost", Always, Rates{7, 0, 1}, Rates{3, 0, 1}, starting),
		both("saves beside unknown polling, header never lost", Never, Rates{}, Rates{}, unlisted),
		both("saves beside unknown polling, header always lost, single-threaded", Always, Rates{}, Rates{}, unlisted, single),
		both("saves beside unknown polling, header always lost, threads", Always, Rates{8, 0, 1}, Rates{3, 0, 1}, unlisted),
		both("strangers, header never lost", Never, Rates{}, Rates{}, strangers),
		both("strangers, header always lost, single-threaded", Always, Rates{}, Rates{}, strangers, single),
		both("slow upstream", Never, Rates{}, Rates{}, slow),
		both("tokens forgotten by a checking server", Never, Rates{0, 1, 0}, Rates{0, 1, 0}, checked),
		both("gate with a restart", Never, Rates{0, 1, 1}, Rates{0, 1, 0}, checked, replaced),
	} {
		for _, v := range []Family{f.plain, f.addressed} {
			shared := v
			shared.Name += ", two shims"
			twoShims(&shared)
			all = append(all, v, shared)
		}
	}
	return append(all,
		dense("header always lost, two processes of eight threads that are preempted", Always, preempted, manyThreads, allow(255, 0, 12)),
		dense("header always lost, two processes of eight threads with calls of their own", Always, preempted, manyThreads, mostlyOwn, allow(50, 0, 0)),
		dense("header always lost, two processes of eight threads with calls of their own, slow net", Always, preempted, manyThreads, mostlyOwn, slowNet, allow(8, 0, 0)),
		dense("strangers, header always lost, single-threaded, seconds apart", Always, strangers, single, secondsApart),
		dense("strangers at a checking server, header always lost, single-threaded", Always, strangers, checks, single),
		dense("cut before the status line", Never, cuts),
		dense("cut before the status line, header always lost, single-threaded", Always, single, cuts, allow(0, 1, 0)),
		dense("cut before the status line, tokens forgotten by a checking server, single-threaded", Never, single, cuts, checked),
		dense("upstream faults", Never, upstream),
		dense("upstream faults, header always lost, single-threaded", Always, single, upstream),
		dense("slow upstream, header always lost, single-threaded", Always, single, slow),
		dense("slow upstream, two addresses", Never, slow, twoShims),
		dense("4.x clients with addresses, cut before the status line", Never, cuts, func(f *Family) { f.Old, f.Addresses = true, true }),
	)
}

func both(name string, loss Loss, plain, addressed Rates, changes ...func(*Family)) (v struct{ plain, addressed Family }) {
	v.plain, v.addressed = dense(name, loss, changes...), dense(name+", addresses", loss, changes...)
	v.plain.Allowed, v.addressed.Allowed = plain, addressed
	v.addressed.Addresses = true
	return v
}

// Limits are histories in which the promise does not hold: each shows one limit
// of docs/promise.md, by its name there.
func Limits() []Family {
	return []Family{
		dense("a shim restarts between an answer and its re-send", Always, single, func(f *Family) { f.RestartRate = 1 }),
		dense("a shim dies with a call in flight", Never, single, twoShims, func(f *Family) { f.RestartRate = 0.8 }),
		dense("shims that share nothing", Always, single, slow, func(f *Family) { f.Shims = 2 }),
		dense("a hop hides the client's hang-up", Never, slow, twoShims, func(f *Family) { f.HideHangUps = true }),
		dense("an answer is lost after it was written", Never, twoShims, func(f *Family) { f.LostWrites = 0.05 }),
		dense("4.x clients without trusted addresses", Never, cuts, func(f *Family) { f.Old = true }),
		dense("threads of one client and equal calls", Always),
		dense("the header is lost for some processes of one app", SomeProcesses),
		dense("the header is lost now and then", AtRandom),
		dense("tokens are forgotten while threads share a client", Never, checked),
		dense("tokens are forgotten while the header is lost", Always, single, checked),
		dense("processes of one app start", Always, starting),
		dense("strangers under the gate, where threads share a client", Always, strangers),
		dense("the record is full", Always, func(f *Family) { f.Entries = 4 }),
	}
}
