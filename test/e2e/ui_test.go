package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/children"
)

// TestTheWebUIWorksThroughTheShim logs in to the real server's web UI in
// Chromium, and keeps a picture of its job list under artifacts.
func TestTheWebUIWorksThroughTheShim(t *testing.T) {
	t.Parallel()
	browser := need(t, "chromium")[0]
	app := needRealServer(t).newApp(t)
	shim := startShim(t, app.server.address)
	client := newClient(t, v436, app.account, shim.Listen)
	for i := range saves {
		client.must(t, 0, "saveJob", job(fmt.Sprint("nightly ", i)))
	}

	picture, err := filepath.Abs(filepath.Join("artifacts", "jobs.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(picture), 0o750); err != nil {
		t.Fatal(err)
	}
	uishot := filepath.Join(scratch, "uishot")
	if out, err := exec.Command("go", "build", "-C", filepath.Join("..", "tools"), "-o", uishot, "./uishot").CombinedOutput(); err != nil {
		missing(t, "uishot cannot be built: %v\n%s", err, out)
	}
	cmd := exec.Command(uishot, "-browser", browser, "-url", "http://"+shim.Listen,
		"-app", app.name, "-password", app.password, "-expect", "nightly 0", "-o", picture)
	cmd.Stderr = os.Stderr
	children.DieWithUs(cmd)
	list, err := cmd.Output()
	t.Logf("the picture: %s", picture)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(list)), "\n")
	if len(rows) != saves {
		t.Errorf("the page lists %d jobs after %d saves:\n%s", len(rows), saves, list)
	}
	if got := shim.metric(t, "powerjob_shim_dedup_total"); got != saves {
		t.Errorf("%d calls went through deduplication, want the %d saves only", got, saves)
	}
}
