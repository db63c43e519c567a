// Package await waits in tests for what nothing signals.
//
//	await.That(t, "the log says that it ended", func() bool { return ended(log) })
//
// Where a channel or testing/synctest can be used, they are better.
package await

import (
	"testing"
	"time"
)

// patience is for a machine that is busy with other things.
const patience = time.Minute

// That looks every few milliseconds whether ok is true, and fails the test when
// it is not within a minute: with what should have been, and what context tells,
// if it is given. It must be called from the test's own goroutine.
func That(t testing.TB, what string, ok func() bool, context ...func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			for _, tell := range context {
				what += "\n" + tell()
			}
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
