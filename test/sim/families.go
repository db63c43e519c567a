package sim

import "time"

const ms = time.Millisecond

// dense is traffic in which equal calls of several threads overlap all the
// time: far more so than any real deployment's.
func dense(name string, loss Loss) Family {
	return Family{
		Name: name, Loss: loss,
		Processes: [2]int{2, 3}, Threads: [2]int{1, 3}, Calls: [2]int{3, 6},
		Think: [2]time.Duration{0, 12 * ms}, Net: [2]time.Duration{ms / 10, 2 * ms}, Work: [2]time.Duration{ms, 8 * ms},
	}
}

func with(f Family, name string, change func(*Family)) Family {
	f.Name = name
	change(&f)
	return f
}

func single(f *Family)    { f.Threads = [2]int{1, 1} }
func addresses(f *Family) { f.Addresses = true }
func shared(f *Family)    { f.Shims, f.Shared = 2, true }

// Base are the families without their variants.
func Base() []Family {
	return []Family{
		with(dense("", Always), "always lost, single-threaded", single),
		dense("always lost, threads", Always),
		dense("never lost", Never),
		dense("lost for some processes", SomeProcesses),
		dense("lost at random", AtRandom),
		with(dense("", Always), "starting processes", func(f *Family) { f.Starting = true }),
		with(dense("", Always), "one process", func(f *Family) { f.Processes = [2]int{1, 1}; f.Threads = [2]int{2, 3} }),
		with(dense("", Never), "slow upstream", func(f *Family) { f.SlowRate = 0.15 }),
		with(dense("", Never), "gate with a restart", func(f *Family) { f.Checked = true }),
		with(dense("", Never), "cut before the status line", func(f *Family) { f.CutRate = 0.1 }),
		with(dense("", Always), "cut before the status line, always lost, single-threaded", func(f *Family) { single(f); f.CutRate = 0.1 }),
		with(dense("", Never), "upstream faults", func(f *Family) { f.LoseRate, f.FailRate, f.RefuseRate = 0.05, 0.1, 0.05 }),
		with(dense("", Always), "upstream faults, always lost, single-threaded", func(f *Family) { single(f); f.LoseRate, f.FailRate, f.RefuseRate = 0.05, 0.1, 0.05 }),
		with(dense("", Always), "slow, always lost, single-threaded", func(f *Family) { single(f); f.SlowRate = 0.15 }),
		with(dense("", Never), "4.x clients, cuts", func(f *Family) { f.Old = true; f.CutRate = 0.1 }),
		with(dense("", Never), "shims restart", func(f *Family) { f.RestartRate = 0.8 }),
	}
}

// Families are the base families, each with and without trusted addresses, and
// with one shim and two that share their state.
func Families() []Family {
	var all []Family
	for _, f := range Base() {
		f.Saves = true
		all = append(all, f,
			with(f, f.Name+", addresses", addresses),
			with(f, f.Name+", two shims", shared),
			with(f, f.Name+", two shims, addresses", func(f *Family) { shared(f); addresses(f) }))
	}
	return all
}
