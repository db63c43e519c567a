// Command bench compares the shim with the programs that a user could take instead:
// the same work, in one run, in interleaved rounds.
//
//	make bench ROUNDS=5
//
// It prints a table and, with -svg FILE, draws it. It installs nothing: a candidate
// whose program is missing is named and left out. The main figure is the candidate's
// CPU seconds per 1,000 requests, from /proc: on a small machine the load generator
// competes for the processors, so that throughput depends as much on it as on the
// candidate. A figure counts only if every answer was right: its status, the header in
// exact case if the candidate promises it, and how often the server executed each
// distinct call.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int { //nolint:gocognit,funlen // flags, candidates, works, rounds: one story from top to bottom
	rounds := flag.Int("rounds", 5, "interleaved rounds")
	scale := flag.Float64("scale", 1, "times the requests of each work")
	onlyCandidates := flag.String("candidates", "", "comma-separated; empty: all")
	onlyWorks := flag.String("works", "", "comma-separated letters; empty: all")
	shim := flag.String("shim", "bin/powerjob-shim", "the binary to measure")
	caddy := flag.String("caddy", "bin/caddy", "a Caddy binary")
	svg := flag.String("svg", "", "draw the table into this file; with -profile, a flame graph")
	cpuProfile := flag.String("profile", "", "only write a CPU profile of the shim into this file")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "powerjob-shim-bench")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory

	up, err := startUpstream()
	if err != nil {
		return fail(err)
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	all := candidates(tools{shim: absolute(*shim), caddy: absolute(*caddy), self: self, dir: dir}, up.address)
	var running []*candidate
	defer func() {
		for _, c := range running {
			c.stop()
		}
	}()
	if *cpuProfile != "" {
		*onlyCandidates = "shim"
	}
	for _, c := range all {
		if *onlyCandidates != "" && !strings.Contains(","+*onlyCandidates+",", ","+c.name+",") {
			continue
		}
		if err := c.start(); err != nil {
			fmt.Printf("left out: %s: %v\n", c.name, err)
			continue
		}
		running = append(running, c)
	}
	if *cpuProfile != "" && len(running) == 1 {
		if err := profile(running[0], *scale, up, *cpuProfile); err != nil {
			return fail(err)
		}
		if *svg != "" {
			if err := flame(*shim, *cpuProfile, *svg); err != nil {
				return fail(err)
			}
		}
		return 0
	}
	fmt.Printf("%s, %s, %d processors; medians of %d rounds (min to max)\n\n", machine(), runtime.Version(), runtime.NumCPU(), *rounds)

	var results results
	for _, w := range works(*scale) {
		if *onlyWorks != "" && !strings.Contains(*onlyWorks, w.letter) {
			continue
		}
		for round := range *rounds {
			if w.run == nil && round > 0 {
				break // a process keeps memory that it has taken: only the first round counts
			}
			for i := range running {
				c := running[(i+round)%len(running)]
				if w.run == nil && len(c.process) == 0 {
					continue // it has no process to measure
				}
				if ctx.Err() != nil {
					return fail(ctx.Err())
				}
				m, err := measure(c, w, up)
				if err != nil {
					fmt.Printf("(%s) %s: does not count: %v\n", w.letter, c.name, err)
					continue
				}
				m.round = round
				results.add(w, c, m)
			}
		}
		results.print(os.Stdout, w, running)
	}
	if *svg != "" {
		if err := os.WriteFile(*svg, results.svg(running), 0o644); err != nil { //nolint:gosec // a picture for the docs
			return fail(err)
		}
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// machine returns the processor's name.
func machine() string {
	out, err := exec.Command("sh", "-c", "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1").Output()
	if err != nil || len(out) == 0 {
		return runtime.GOARCH
	}
	return strings.TrimSpace(string(out))
}
