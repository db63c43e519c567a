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

	"powerjob-shim/rules/openapi"
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
	givesUp  map[string]bool // calls whose caller hangs up
}

// play tells a scene to a Machine and holds what it decides against the file.
func play(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("testdata", "scenes", name+".txt")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &told{scene: newScene(t), calls: map[string]*turn{}, answered: map[string]time.Time{}, givesUp: map[string]bool{}}
	lines := strings.Split(string(text), "\n")
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "hang-up "); ok {
			s.givesUp[name] = true
		}
	}
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
		token, addr := s.loginFrom(rest)
		s.constructor(token, addr...)
	case "login":
		rest, options := s.loginFrom(rest)
		token, after, late := strings.Cut(rest, " asked-after ")
		if late {
			options = append(options, requested(s.answered[after]))
		}
		s.refresh(token, options...)
	case "pass":
		s.pass(s.duration(rest))
	case "call":
		name, what, _ := strings.Cut(rest, ": ")
		what, token, _ := strings.Cut(what, " with ")
		token, options := s.options(token)
		s.calls[name] = s.call(what, token, options...)
		return s.decided(name)
	case "resume":
		s.named(rest).resumed()
		return s.decided(rest)
	case "answer":
		name, answer, _ := strings.Cut(rest, ` "`)
		answer, made, _ := strings.Cut(answer, `"`)
		s.named(name).done(answer, s.made(made)...)
		s.answered[name] = s.now
	case "refuse":
		s.named(rest).ends(denied).delivered()
		s.answered[rest] = s.now
	case "lose":
		s.named(rest).ends(Outcome{Kind: Lost}).delivered()
	case "error":
		name, status, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(status)
		if err != nil {
			s.t.Fatal(err)
		}
		s.named(name).ends(failed(n, "an error")).delivered()
	case "hang-up":
		if c := s.named(rest).hangsUp(); c.d.Verdict == Replay {
			c.delivered() // as far as it came
		}
	default:
		s.t.Fatalf("%q says nothing that a scene knows", event)
	}
	return ""
}

// made reads "makes job 7" behind an answer.
func (s *told) made(text string) (made []openapi.Subject) {
	s.t.Helper()
	if text == "" {
		return nil
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(text, " makes job "), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return []openapi.Subject{job(id)}
}

func (s *told) duration(text string) time.Duration {
	s.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

var places = map[string]string{"here": here, "there": there}

// loginFrom takes "from here" off the end of what is said of a login.
func (s *told) loginFrom(rest string) (token string, options []func(*Issue)) {
	token, place, ok := strings.Cut(rest, " from ")
	if ok {
		options = append(options, loginFrom(places[place]))
	}
	return token, options
}

// options takes what is said of a call off the end of its token.
func (s *told) options(rest string) (token string, options []func(*Call)) {
	s.t.Helper()
	token, ok := strings.CutSuffix(rest, " without a rule")
	if ok {
		options = append(options, undeduplicated)
	}
	if before, window, ok := strings.Cut(token, " kept "); ok {
		d := s.duration(window)
		token, options = before, append(options, func(c *Call) { c.Window = d })
	}
	if before, place, ok := strings.Cut(token, " from "); ok {
		token, options = before, append(options, from(places[place]))
	}
	return token, options
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
		if !s.givesUp[name] {
			c.delivered()
		}
	}
	if c.d.Reason != First {
		said += fmt.Sprintf(" (%s)", c.d.Reason)
	}
	return said
}
