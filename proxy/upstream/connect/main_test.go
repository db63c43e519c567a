package connect

import (
	"testing"
	"time"

	"powerjob-shim/internal/leaks"
)

// patience bounds what should happen at once; no test that passes waits for it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { leaks.Main(m) }
