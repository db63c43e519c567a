// Package hangup catches SIGHUP from the first moment on.
//
// Until a program asks for SIGHUP, the signal ends it. But a supervisor may send one
// as soon as the process exists, to announce a changed configuration.
// This package asks when it is initialised. It imports next to nothing, so
// that most packages are initialised after it (Go initialises them in the order of
// import paths, dependencies first).
package hangup

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// Signals receives SIGHUP in a process whose first argument is "run"; other
// commands end with it, as they should. It has room for one signal: the reload that it
// causes comes after all signals that were sent before.
var Signals = catch(os.Args)

func catch(args []string) chan os.Signal {
	c := make(chan os.Signal, 1)
	if slices.Contains(args[1:min(2, len(args))], "run") {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}
