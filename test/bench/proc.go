package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is the kernel's USER_HZ, 100 on every Linux that Go runs on.
const ticks = 100

// pids returns the ids of a candidate's processes, with their children. A Redis that it
// needs counts as well.
func (c *candidate) pids() []int {
	var all []int
	parents := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		if pid, fields := stat(s); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			parents[parent] = append(parents[parent], pid)
		}
	}
	var add func(int)
	add = func(pid int) {
		all = append(all, pid)
		for _, child := range parents[pid] {
			add(child)
		}
	}
	for _, p := range c.process {
		add(p.Process.Pid)
	}
	return all
}

// stat returns a process's id and the fields of its stat file from state on.
func stat(path string) (int, []string) {
	b, err := os.ReadFile(path) //nolint:gosec // under /proc
	if err != nil {
		return 0, nil
	}
	pid, _, _ := bytes.Cut(b, []byte{' '})
	n, _ := strconv.Atoi(string(pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return n, strings.Fields(rest)
}

// cpu returns the CPU time that the candidate has used, in seconds.
func (c *candidate) cpu() float64 {
	total := 0
	for _, pid := range c.pids() {
		_, f := stat(fmt.Sprintf("/proc/%d/stat", pid))
		if len(f) > 12 {
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			total += user + system
		}
	}
	return float64(total) / ticks
}

// resident returns the candidate's resident memory in bytes.
func (c *candidate) resident() int {
	total := 0
	for _, pid := range c.pids() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		f := strings.Fields(string(b))
		if len(f) > 1 {
			pages, _ := strconv.Atoi(f[1])
			total += pages * os.Getpagesize()
		}
	}
	return total
}
