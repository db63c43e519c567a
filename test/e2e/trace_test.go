package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"powerjob-shim/internal/children"
)

// TestTheRealClientSendsWhatIsRecorded lets the real 5.1.0 client make the
// requests that internal/standin/client, its Go port, is held to: the five modes that
// the simulation builds upon. All 18 are there; to record them anew:
//
//	POWERJOB_CLIENT_CLASSPATH=$(cat test/e2e/java/target/client-5.1.0/classpath) go test ./internal/standin/client -update
func TestTheRealClientSendsWhatIsRecorded(t *testing.T) {
	t.Parallel()
	classpath(t, "client-"+v510) // has it built
	path, err := modulePath("client-" + v510)
	if err != nil {
		t.Fatal(err)
	}
	modes := []string{"fine", "header-lost", "cut-after", "408", "timeout"}
	cmd := exec.Command("go", "test", "-count=1", "-v", "-parallel=2",
		"-run", "TestThePortSendsWhatTheRealClientSends/^("+strings.Join(modes, "|")+")$", "powerjob-shim/internal/standin/client")
	cmd.Env = append(os.Environ(), "POWERJOB_CLIENT_CLASSPATH="+path)
	children.DieWithUs(cmd)
	out, err := cmd.CombinedOutput()
	if passed := strings.Count(string(out), "    --- PASS"); err != nil || passed != len(modes) {
		t.Errorf("%v; %d of %d modes are the same:\n%s", err, passed, len(modes), out)
	}
}
