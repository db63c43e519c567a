// Package leaks looks for goroutines that a package's tests have left behind. net/http
// waits half a second before it closes some connections, which is longer than
// go.uber.org/goleak waits; here a goroutine counts as leaked only after a minute.
package leaks

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end on a busy machine.
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

// Wait waits until only the goroutines of the test run itself are left. After a
// minute its error lists the others.
func Wait(options ...goleak.Option) error {
	end := time.Now().Add(patience)
	for {
		err := goleak.Find(options...) // it takes about half a second
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
