package dedup

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write into testdata/scenes what is decided")

// The numbered interleavings of the package comment, told in testdata/scenes.

func TestInterleaving1OneThread(t *testing.T) { play(t, "1-one-thread") }

func TestInterleaving2TwoThreadsWhoseTokensOverwriteEachOther(t *testing.T) {
	play(t, "2-two-threads")
}

func TestInterleaving3AnOrphanWaitsForTheOthersResend(t *testing.T) { play(t, "3-an-orphan-waits") }

func TestInterleaving3AnOrphansAnswerGoesToTheOvertakenResend(t *testing.T) {
	play(t, "3-the-overtaken-waits")
}

func TestInterleaving4TheRetryOfACallerWhoGaveUp(t *testing.T) { play(t, "4-a-retry") }

func TestInterleaving5ALateResendIsNotExecutedOverANewerSave(t *testing.T) {
	play(t, "5-a-late-re-send")
}

func TestInterleaving6AThreadThatIsPreemptedStoresItsTokenLast(t *testing.T) {
	play(t, "6-a-preempted-thread")
}

// told is a scene that is read from a file: testdata/scenes/README.md has its words.
type told struct {
	*scene
	calls    map[string]*turn
	answered map[string]time.Time
}

// play tells a scene to a Machine and holds what it decides against the file.
func play(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("testdata", "scenes", name+".txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &told{newScene(t), map[string]*turn{}, map[string]time.Time{}}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		event, want, decides := strings.Cut(line, " =>")
		if event == "" || event[0] == '#' {
			continue
		}
		got := s.step(event)
		if decides != (got != "") {
			t.Fatalf("%s:%d: %q has no decision, or should have one", file, i+1, line)
		}
		if want = strings.TrimSpace(want); got != want && !*update {
			t.Errorf("%s:%d: %s: got %s, want %s", file, i+1, event, got, want)
		}
		if decides {
			lines[i] = event + " => " + got
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// step takes one event, and returns what is decided of a call; "" where nothing is.
func (s *told) step(event string) string {
	s.t.Helper()
	word, rest, _ := strings.Cut(event, " ")
	switch word {
	case "client":
		s.constructor(rest)
	case "login":
		token, after, late := strings.Cut(rest, " asked-after ")
		if late {
			s.refresh(token, requested(s.answered[after]))
		} else {
			s.refresh(token)
		}
	case "pass":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.t.Fatal(err)
		}
		s.pass(d)
	case "call":
		name, what, _ := strings.Cut(rest, ": ")
		what, token, _ := strings.Cut(what, " with ")
		s.calls[name] = s.call(what, token)
		return s.decided(name)
	case "resume":
		s.named(rest).resumed()
		return s.decided(rest)
	case "answer":
		name, answer, _ := strings.Cut(rest, ` "`)
		s.named(name).done(strings.TrimSuffix(answer, `"`))
		s.answered[name] = s.now
	case "hang-up":
		s.named(rest).hangsUp()
	default:
		s.t.Fatalf("%q says nothing that a scene knows", event)
	}
	return ""
}

func (s *told) named(name string) *turn {
	s.t.Helper()
	c := s.calls[name]
	if c == nil {
		s.t.Fatalf("there was no call %s", name)
	}
	return c
}

// decided tells what was decided of a call, which gets its answer if it has one.
func (s *told) decided(name string) string {
	c := s.named(name)
	said := map[Verdict]string{Lead: "forward", Wait: "wait", Pass: "forward, observed", Fail: "fail", Refuse: "forward, not remembered"}[c.d.Verdict]
	if c.d.Verdict == Replay {
		said = "replay " + strconv.Quote(string(c.d.Answer.Body))
		c.delivered()
	}
	if c.d.Reason != First {
		said += fmt.Sprintf(" (%s)", c.d.Reason)
	}
	return said
}
