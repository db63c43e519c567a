package listen

import (
	"io"
	"log"
	"testing"

	"go.uber.org/goleak"
)

var quiet = log.New(io.Discard, "", 0)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
