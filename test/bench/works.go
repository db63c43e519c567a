package main

import (
	"fmt"
	"net"
	"time"
)

// work is one kind of load.
type work struct {
	letter, title string
	unit          string // of the CPU figure
	// run does the work once. Nil: the work is the memory of idle connections.
	run func(*candidate) (done int, lat []time.Duration, err error)
	// executions returns how often the server must have executed each distinct call.
	// Nil: the work has no calls to be counted.
	executions func(*candidate) int
}

// measurement is one work on one candidate in one round.
type measurement struct {
	round    int
	cpu      float64 // seconds per 1,000 requests, or MB resident for idle connections
	rate     float64 // requests per second
	p50, p99 time.Duration
}

const connections = 16

func works(scale float64) []work {
	n := func(count int) int { return max(1, int(float64(count)*scale)) }
	once := func(*candidate) int { return 1 }
	return []work{
		{
			letter: "a", title: "saveJob, 1 KiB, all distinct, 16 connections", unit: "CPU s / 1,000 requests", executions: once,
			run: func(c *candidate) (int, []time.Duration, error) {
				lat, err := drive(c, connections, n(10_000), func(cl *client) error { return cl.save(int(numbers.Add(1)), "constructor") })
				return len(lat), lat, err
			},
		},
		{
			letter: "b", title: "the defect's pattern: call, login, the same call; 16 connections", unit: "CPU s / 1,000 calls",
			executions: func(c *candidate) int {
				if c.dedup {
					return 1
				}
				return 2
			},
			run: func(c *candidate) (int, []time.Duration, error) {
				lat, err := drive(c, connections, n(4_000), func(cl *client) error {
					number := int(numbers.Add(1))
					if err := cl.save(number, "constructor"); err != nil {
						return err
					}
					token, err := cl.login()
					if err != nil {
						return err
					}
					return cl.save(number, token)
				})
				return len(lat) / 3, lat, err
			},
		},
		{
			letter: "c", title: "fetchJob, 16 connections", unit: "CPU s / 1,000 requests",
			run: func(c *candidate) (int, []time.Duration, error) {
				req := request("/openApi/fetchJob", "application/x-www-form-urlencoded", "constructor", []byte("jobId=1&appId=1"))
				lat, err := drive(c, connections, n(10_000), func(cl *client) error { return cl.do(req) })
				return len(lat), lat, err
			},
		},
		{
			letter: "d", title: "uploads of 20 MiB, one after the other", unit: "CPU s / 1,000 MiB",
			run: func(c *candidate) (int, []time.Duration, error) {
				body := make([]byte, 20<<20)
				req := request("/container/uploadJar", "application/octet-stream", "", body)
				lat, err := drive(plain(c), 1, n(10), func(cl *client) error { return cl.do(req) })
				return len(lat) * 20, lat, err
			},
		},
		{
			letter: "e", title: "saveJob, one connection: latency", unit: "CPU s / 1,000 requests", executions: once,
			run: func(c *candidate) (int, []time.Duration, error) {
				lat, err := drive(c, 1, n(3_000), func(cl *client) error { return cl.save(int(numbers.Add(1)), "constructor") })
				return len(lat), lat, err
			},
		},
		{letter: "f", title: "10,000 idle connections", unit: "MiB resident more", run: nil},
	}
}

// plain returns c without the promise of the header: only calls get it.
func plain(c *candidate) *candidate {
	p := *c
	p.exact = false
	return &p
}

const idleConnections = 10_000

func measure(c *candidate, w work, up *upstream) (measurement, error) {
	if w.run == nil {
		return measureIdle(c)
	}
	up.times()
	before, start := c.cpu(), time.Now()
	done, lat, err := w.run(c)
	took := time.Since(start)
	cpu := c.cpu() - before
	if err != nil {
		return measurement{}, err
	}
	if w.executions != nil {
		want := w.executions(c)
		for n, times := range up.times() {
			if times != want {
				return measurement{}, fmt.Errorf("call %d was executed %d times, want %d", n, times, want)
			}
		}
	}
	return measurement{
		cpu: cpu / float64(done) * 1000, rate: float64(len(lat)) / took.Seconds(),
		p50: lat[len(lat)/2], p99: lat[len(lat)*99/100],
	}, nil
}

// measureIdle opens connections, gets one answer on each, and measures how much the
// resident memory has grown.
func measureIdle(c *candidate) (measurement, error) {
	before := c.resident()
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	req := request("/openApi/fetchJob", "application/x-www-form-urlencoded", "constructor", []byte("jobId=1&appId=1"))
	for range idleConnections {
		cl, err := dial(c)
		if err != nil {
			return measurement{}, err
		}
		conns = append(conns, cl.conn)
		if err := cl.do(req); err != nil {
			return measurement{}, err
		}
	}
	return measurement{cpu: float64(c.resident()-before) / (1 << 20)}, nil
}
