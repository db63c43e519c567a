package proxy

import (
	"regexp"
	"testing"

	"powerjob-shim/internal/bothservers"
	"powerjob-shim/internal/leaks"
)

func TestMain(m *testing.M) {
	servesPlainCalls = !bothservers.Alone()
	leaks.Main(m)
}

// Left out are tests that take a second or more.
func TestRawSocketsAgainWithNetHTTPAlone(t *testing.T) {
	bothservers.Again(t, 100, regexp.MustCompile(`TenThousand|Random|Reload|Rolling|Replica|Restart|UnderLoad|WhileRoutes|ThatDoNotRead|Smuggled|AnotherCaller|`+
		`RawSockets|RealServer|NeverPause|Flood|LargeBody|TakesALittle|NoStatus|Idle|TimeoutsOfItsOwn|ThatCloses|OwnAuthHeader`))
}
