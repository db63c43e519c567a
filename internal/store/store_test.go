package store_test

import (
	"testing"

	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/dedup"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, n int) []store.Store {
		s := store.NewMemory(dedup.Limits{})
		all := make([]store.Store, n)
		for i := range all {
			all[i] = s
		}
		return all
	})
}
