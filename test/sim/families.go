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
