package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Answers beyond dedup.max_held_answers reach their callers whole, as streams,
// and are counted; what they took is given back.
func TestAnswersBeyondTheirBudgetAreStreamed(t *testing.T) {
	const callers, size = 10, 100 << 10
	text := `{"success":true,"data":"` + strings.Repeat("x", size) + `"}`
	var halves, ends sync.WaitGroup
	halves.Add(callers)
	rest := make(chan struct{})
	settings := dedupSettings(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", strconv.Itoa(len(text))) // so that its room is taken at once
		_, _ = io.WriteString(w, text[:size/2])
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/openApi/copyJob" {
			halves.Done()
			<-rest
		}
		_, _ = io.WriteString(w, text[size/2:])
	}))
	settings.Dedup.MaxHeldAnswers = 3 * size // room for two: an answer is a little more than size
	s := newShim(t, settings)
	decisions := make(chan string, callers)
	for range callers {
		ends.Go(func() {
			answer := raw(t, s.addr, form("copyJob", "jobId=1&appId=1"))
			if !strings.Contains(answer, `"data":"`) || strings.Count(answer, "x") < size {
				t.Errorf("a caller got %d bytes", len(answer))
			}
			decisions <- decision(answer)
		})
	}
	halves.Wait()
	eventually(t, "two answers have their room, and the others are streamed", func() bool {
		streamed := s.sum(t, "powerjob_shim_dedup_bypassed_total", "reason", "answer_budget")
		return streamed == callers-2 && s.replay.Held() == int64(2*len(text))
	})
	close(rest)
	ends.Wait()
	got := map[string]float64{}
	for range callers {
		got[<-decisions]++
	}
	// The header of a streamed answer is written when it is known that it is
	// streamed: it says what became of the call.
	if got["forwarded"] != 2 || got["bypassed"] != callers-2 {
		t.Errorf("decisions: %v", got)
	}
	eventually(t, "all is given back", func() bool { return s.replay.Held() == 0 })
	if again := decision(raw(t, s.addr, form("runJob", "jobId=2&appId=1"))); again != "" && again != "forwarded" {
		t.Errorf("then a call is %s", again)
	}
}

// An error of the shim's own is longer than a small max_answer, and those who
// wait for the call still learn what became of it.
func TestTheShimsOwnErrorsAreNoAnswersThatAreTooLarge(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	settings := dedupSettings(t, upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-release
		panic(http.ErrAbortHandler) // executed, and no answer
	}))
	settings.Dedup.MaxAnswer = 1
	s := newShim(t, settings)
	answers := make(chan string, 2)
	go func() { answers <- raw(t, s.addr, save(saveBody(0, "a"))) }()
	<-arrived
	go func() { answers <- raw(t, s.addr, save(saveBody(0, "a"))) }()
	s.inFlight(t, 2)
	close(release)
	for range 2 {
		if got := <-answers; statusOf(got) != 504 || decision(got) != "unknown" || !strings.Contains(got, "may have been executed") {
			t.Errorf("a caller got %q", got)
		}
	}
	if n := len(arrived); n != 0 {
		t.Errorf("the server got %d more calls", n)
	}
}
