package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/leaks"
)

func TestMain(m *testing.M) { leaks.Main(m) }

// writes is an output that records each write with its time. If hold is not nil, it
// receives from hold before each write.
type writes struct {
	mu    sync.Mutex
	texts []string
	times []time.Time
	hold  chan error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.hold != nil {
		if err := <-w.hold; err != nil {
			return 0, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts, w.times = append(w.texts, string(p)), append(w.times, time.Now())
	return len(p), nil
}

func (w *writes) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.texts, "")
}

func TestLinesAreWrittenTogetherAndAtMostMaxDelayLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		l := Open(Options{Out: out})
		defer l.Close()
		begin := time.Now()
		for range 10 {
			l.Logger.Info("line")
			time.Sleep(time.Millisecond)
		}
		time.Sleep(MaxDelay)
		synctest.Wait()
		if len(out.texts) != 1 || strings.Count(out.texts[0], "\n") != 10 {
			t.Fatalf("%d writes: %q", len(out.texts), out.texts)
		}
		if late := out.times[0].Sub(begin); late > MaxDelay {
			t.Errorf("the first line was written after %v", late)
		}
	})
}

func TestWarningsAndWhatCameBeforeAreWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		l := Open(Options{Out: out})
		defer l.Close()
		l.Logger.Info("before")
		l.Logger.Warn("warning")
		synctest.Wait() // no time passes
		if got := out.text(); strings.Count(got, "\n") != 2 {
			t.Errorf("written: %q", got)
		}
	})
}

func TestSyncAndCloseWriteWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		l := Open(Options{Out: out})
		l.Logger.Info("first")
		if err := l.Logger.Sync(); err != nil || !strings.Contains(out.text(), "first") {
			t.Errorf("Sync returned %v, written: %q", err, out.text())
		}
		l.Logger.Info("second")
		begin := time.Now()
		l.Close()
		if !strings.Contains(out.text(), "second") || time.Since(begin) != 0 {
			t.Errorf("after %v written: %q", time.Since(begin), out.text())
		}
		l.Logger.Info("third")
		if l.Dropped() != 1 {
			t.Errorf("%d lines were dropped after the end, want 1", l.Dropped())
		}
	})
}

func TestALineBeforeAPanicIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{}
		l := Open(Options{Out: out})
		defer l.Close()
		func() {
			defer func() { _ = recover() }()
			defer func() { _ = l.Logger.Sync() }()
			l.Logger.Info("last words")
			panic("boom")
		}()
		if !strings.Contains(out.text(), "last words") {
			t.Errorf("written: %q", out.text())
		}
	})
}

func TestAnOutputThatTakesNothingHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{hold: make(chan error)}
		l := Open(Options{Out: out})
		l.Logger.Info("the first")
		time.Sleep(time.Second) // it is being written
		begin := time.Now()
		long := strings.Repeat("x", MaxValue)
		const lines = 1 + 4*MaxQueued/MaxValue
		for range lines - 1 {
			l.Logger.Info(long)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("logging took %v", d)
		}
		dropped := l.Dropped()
		if dropped < lines/4 || dropped > lines*4/5 {
			t.Errorf("%d of %d lines were dropped", dropped, lines)
		}
		l.queue.mu.Lock()
		held := cap(l.queue.waiting)
		l.queue.mu.Unlock()
		if held > 2*MaxQueued {
			t.Errorf("%d bytes are held", held)
		}
		close(out.hold) // the output takes lines again
		time.Sleep(time.Second)
		var last struct {
			Level   string
			Dropped uint64
		}
		all := strings.Split(strings.TrimSpace(out.text()), "\n")
		told := 0
		for _, line := range all {
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if last.Dropped > 0 {
				told++
				if last.Level != "warn" || last.Dropped != dropped {
					t.Errorf("the log says %s %d, want warn %d", last.Level, last.Dropped, dropped)
				}
				last.Dropped = 0
			}
		}
		if written := uint64(len(all) - told); told != 1 || written+dropped != lines {
			t.Errorf("%d of %d lines were written, %d dropped, told %d times", written, lines, dropped, told)
		}
		l.Close()
	})
}

func TestAnOutputThatHangsDoesNotHoldUpTheEnd(t *testing.T) {
	out := &writes{hold: make(chan error)}
	l := Open(Options{Out: out})
	l.Logger.Warn("stuck")
	begin := time.Now()
	l.Close()
	if d := time.Since(begin); d < patience || d > 10*patience {
		t.Errorf("the end took %v", d)
	}
	close(out.hold)
	<-l.queue.done
}

func TestAnOutputThatFailsLosesLinesAndCountsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &writes{hold: make(chan error)}
		l := Open(Options{Out: out})
		l.Logger.Info("one")
		l.Logger.Warn("two")
		out.hold <- errors.New("broken pipe")
		synctest.Wait()
		if l.Dropped() != 2 {
			t.Errorf("%d lines were dropped, want 2", l.Dropped())
		}
		close(out.hold) // later lines are written again
		l.Logger.Info("three")
		l.Close()
		if got := out.text(); !strings.Contains(got, "three") || !strings.Contains(got, `"dropped":2`) {
			t.Errorf("written: %q", got)
		}
	})
}

func TestManyGoroutinesLoseNothing(t *testing.T) {
	var out bytes.Buffer
	l := Open(Options{Out: &out})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			log := l.Logger.With(zap.Int("worker", i))
			for range 200 {
				log.Info("line", zap.String("text", "ü\n\"\x00\xff"))
			}
		})
	}
	wg.Wait()
	l.Close()
	n := 0
	for d := json.NewDecoder(&out); ; n++ {
		var line struct{ Text string }
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil || line.Text != "ü\n\"\x00\ufffd" {
			t.Fatalf("%q, %v", line.Text, err)
		}
	}
	if n != 1600 || l.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", n, l.Dropped())
	}
}

func BenchmarkARequestsLine(b *testing.B) {
	l := Open(Options{Out: io.Discard})
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		l.Logger.Info("request", requestFields("/openApi/saveJob")...)
	}
}
