// Package leaks looks, after a package's tests, for goroutines that they left
// behind. net/http waits half a second before it closes some connections, and
// go.uber.org/goleak gives up sooner than that; here a leak is what is still
// there after a minute.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines have to end on a busy machine.
const patience = time.Minute

// Main runs the tests of a package, and exits with 1 if they fail or leave a
// goroutine: func TestMain(m *testing.M) { leaks.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := Wait(); err != nil {
			fmt.Fprintf(os.Stderr, "the tests passed, but left something running after %v: %v\n", patience, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Wait waits until only the goroutines of the test's own run are left, and after
// a minute returns what is there.
func Wait(options ...goleak.Option) error {
	end := time.Now().Add(patience)
	for {
		err := goleak.Find(options...) // it takes about half a second
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
