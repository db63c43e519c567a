package certs

import (
	"time"
	_ "unsafe" // for linkname
)

// retryIntervals are certmagic's: how long after a failed attempt the next one
// comes. The first is a minute, for which no test waits.
//
//go:linkname retryIntervals github.com/caddyserver/certmagic.retryIntervals
var retryIntervals []time.Duration

func init() { retryIntervals[0] = 2 * time.Second }
