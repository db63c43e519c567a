package plain

import (
	"io"
	"log"
	"testing"

	"powerjob-shim/internal/leaks"
)

var quiet = log.New(io.Discard, "", 0)

func TestMain(m *testing.M) { leaks.Main(m) }
