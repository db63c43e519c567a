package shimtest

import (
	"os/exec"
	"strings"
	"testing"
)

func TestALogIsReadLineByLine(t *testing.T) {
	long := strings.Repeat("x", 200_000) // more than a bufio.Scanner takes
	cmd := exec.Command("sh", "-c", `head -c 200000 /dev/zero | tr '\0' x >&2
printf '\n{"msg":"started","listen":["a:1","b:2"],"admin":"c:3"}\n{"msg":"ended' >&2; cat; printf '","n":4}\n' >&2; exit 5`)
	w, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := Start(t, cmd).Started(t)
	if p.Listen != "a:1" || len(p.Listeners) != 2 || p.Admin != "c:3" {
		t.Errorf("%q %q %q", p.Listen, p.Listeners, p.Admin)
	}
	if seen := 0; p.log.next("ended", &seen) != nil {
		t.Error("half a line was read")
	}
	_ = w.Close()
	if line := p.WaitFor(t, "ended"); line["n"] != 4.0 {
		t.Errorf("got %v", line)
	}
	if code := p.Exit(t); code != 5 {
		t.Errorf("exit code %d", code)
	}
	if !strings.HasPrefix(p.Log(), long+"\n") {
		t.Error("the long line is not kept")
	}
}
