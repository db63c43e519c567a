package proxy

import (
	"testing"

	"powerjob-shim/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }
