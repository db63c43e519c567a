package dedup_test

import (
	"testing"

	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, n int) []dedup.Store {
		s := dedup.NewMemory(dedup.Limits{})
		all := make([]dedup.Store, n)
		for i := range all {
			all[i] = s
		}
		return all
	})
}
