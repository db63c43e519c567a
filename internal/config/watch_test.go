package config

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"powerjob-shim/internal/leaks"
)

// patience is how long a busy machine may take to report a change.
const patience = time.Minute

// watched runs a watch of a file and notes its calls.
type watched struct {
	virtual bool        // time is virtual: nothing happens between two steps of the test
	last    string      // the content that was expected last
	changed chan string // at each call of changed, the file's content
	failed  chan error
}

// bothWays runs a test with only the poll, in virtual time, and, unless the test needs
// the poll, with only events, in real time.
func bothWays(t *testing.T, pollOnly bool, test func(t *testing.T, events bool)) {
	t.Helper()
	t.Run("poll only", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { test(t, false) })
	})
	if pollOnly {
		return
	}
	t.Run("events only", func(t *testing.T) {
		t.Parallel()
		test(t, true)
	})
}

// startWatch watches with only events (the poll comes too late for the test) or only the
// poll. It returns when the watch has read the file once.
func startWatch(t *testing.T, file string, events bool) *watched {
	t.Helper()
	w := &watched{virtual: !events, changed: make(chan string, 100), failed: make(chan error, 100)}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := func() {
		content, err := os.ReadFile(file)
		if err != nil && w.virtual {
			t.Errorf("reading changed content: %v", err)
		}
		w.changed <- string(content)
	}
	failed := func(err error) { w.failed <- err }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })

	// The digest of another content makes the first look call changed, so that the test
	// knows that the watch runs.
	other := sha256.Sum256([]byte("not " + string(content)))
	go func() {
		defer close(done)
		if events {
			Watch(ctx, file, nil, other, 10*patience, changed, failed)
			return
		}
		poll := watch{file: file, last: other, changed: changed, failed: failed}
		poll.run(ctx, 10*time.Millisecond, nil, func() {})
	}()
	w.expect(t, string(content))
	return w
}

// expect waits until the watch reports a content. In real time it may first report
// another one that a busy machine has left in the file for a while, such as none.
func (w *watched) expect(t *testing.T, want string) {
	t.Helper()
	for end := time.After(patience); ; {
		select {
		case got := <-w.changed:
			if got == want {
				w.last = got
				return
			}
			if w.virtual {
				t.Fatalf("told of %q, want %q", got, want)
			}
		case <-end:
			t.Fatalf("not told of %q", want)
		}
	}
}

// nothingMore fails if the watch reports again. In real time it may report the same
// content again, see expect.
func (w *watched) nothingMore(t *testing.T) {
	t.Helper()
	select {
	case got := <-w.changed:
		if w.virtual || got != w.last {
			t.Errorf("told again, of %q", got)
		}
	case <-time.After(4 * settle):
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// Each way of replacing the file is done twice: a watch that follows the first
// file would miss the second change.
func TestWatchTellsOfEveryWayToReplaceAFile(t *testing.T) {
	ways := map[string]func(t *testing.T, file, content string){
		"written in place": write,
		"renamed over": func(t *testing.T, file, content string) {
			write(t, file+".new", content)
			rename(t, file+".new", file)
		},
		"removed and created": func(t *testing.T, file, content string) {
			remove(t, file)
			time.Sleep(settle) // an editor's pause: the file is missing for a moment
			write(t, file, content)
		},
		"saved by vim": func(t *testing.T, file, content string) { // backupcopy=no: the old file moves away first
			rename(t, file, file+"~")
			write(t, file, content)
			remove(t, file+"~")
		},
		"truncated first": func(t *testing.T, file, content string) {
			write(t, file, "")
			write(t, file, content)
		},
		"directory replaced": func(t *testing.T, file, content string) {
			dir := filepath.Dir(file)
			rename(t, dir, dir+".old")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, file, content)
			if err := os.RemoveAll(dir + ".old"); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, replace := range ways {
		t.Run(name, func(t *testing.T) {
			bothWays(t, name == "directory replaced", func(t *testing.T, events bool) {
				dir := filepath.Join(t.TempDir(), "etc")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(dir, "config.yaml")
				write(t, file, "one")
				w := startWatch(t, file, events)
				replace(t, file, "two")
				w.expect(t, "two")
				replace(t, file, "three")
				w.expect(t, "three")
				w.nothingMore(t)
			})
		})
	}
}

// A kubelet writes a new directory, points ..data_tmp to it and renames that
// over ..data; config.yaml itself stays the same link.
func TestWatchTellsOfASwappedConfigMap(t *testing.T) {
	bothWays(t, false, func(t *testing.T, events bool) {
		dir := t.TempDir()
		link := func(from, to string) {
			t.Helper()
			if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
		version := func(name, content string) {
			t.Helper()
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name, "config.yaml"), content)
		}
		version("..1", "one")
		link("..1", "..data")
		link("..data/config.yaml", "config.yaml")
		w := startWatch(t, filepath.Join(dir, "config.yaml"), events)
		for i, content := range []string{"two", "three"} {
			name := []string{"..2", "..3"}[i]
			version(name, content)
			link(name, "..data_tmp")
			rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
			if err := os.RemoveAll(filepath.Join(dir, []string{"..1", "..2"}[i])); err != nil {
				t.Fatal(err)
			}
			w.expect(t, content)
		}
		w.nothingMore(t)
	})
}

func TestWatchReportsAMissingFileOnceAndKeepsWatching(t *testing.T) {
	bothWays(t, false, func(t *testing.T, events bool) {
		file := filepath.Join(t.TempDir(), "config.yaml")
		write(t, file, "one")
		w := startWatch(t, file, events)
		for range 2 { // missing a second time is reported a second time
			remove(t, file)
			select {
			case err := <-w.failed:
				if want := "reading " + file + ", the last configuration stays: no such file or directory"; err.Error() != want {
					t.Errorf("got %q, want %q", err, want)
				}
			case <-time.After(patience):
				t.Fatal("the missing file is not reported")
			}
			w.nothingMore(t)
			select {
			case err := <-w.failed:
				t.Errorf("reported again: %v", err)
			default:
			}
			write(t, file, "one") // reported although it is the same, because the failure is over
			w.expect(t, "one")
			w.nothingMore(t)
		}
		write(t, file, "two")
		w.expect(t, "two")
	})
}

// A change in a secret's own file is reported like one in the configuration.
func TestWatchTellsOfAChangedSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		secret := filepath.Join(dir, "secret")
		write(t, secret, "old\n")
		file := filepath.Join(dir, "config.yaml")
		write(t, file, `upstreams: {default: {servers: ["http://a:1"], login_bridge: {apps: [{name: a, password_file: `+secret+"}]}}}\n")
		running := mustLoad(t, Source{File: file})
		var (
			mu       sync.Mutex // protects what follows
			told     []Secret
			problems int
		)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			changed := func() {
				running = mustLoad(t, Source{File: file})
				mu.Lock()
				defer mu.Unlock()
				told = append(told, running.Upstreams["default"].LoginBridge.Apps[0].Password)
			}
			w := watch{file: file, secrets: func() []string { return running.SecretFiles() }, last: running.Digest(), changed: changed, failed: func(error) {
				mu.Lock()
				defer mu.Unlock()
				problems++
			}}
			w.run(ctx, time.Second, nil, func() {})
		}()
		for _, step := range []struct {
			do   func()
			told int
			bad  int
		}{
			{func() {}, 0, 0},
			{func() { write(t, secret, "old") }, 0, 0}, // the same without its newline
			{func() { write(t, secret, "new\n") }, 1, 0},
			{func() { remove(t, secret) }, 1, 1},
			{func() { write(t, secret, "newer") }, 2, 1},
		} {
			step.do()
			time.Sleep(3 * time.Second)
			synctest.Wait()
			mu.Lock()
			if len(told) != step.told || problems != step.bad {
				t.Errorf("told of %d changes and %d problems, want %d and %d", len(told), problems, step.told, step.bad)
			}
			mu.Unlock()
		}
		if !slices.Equal(told, []Secret{"new", "newer"}) {
			t.Errorf("the %d secrets that were told of are others", len(told))
		}
		cancel()
		<-done
	})
}

func TestWatchMissesNoChangeBetweenLoadAndItsStart(t *testing.T) {
	file := writeFile(t, oneServer)
	cfg := mustLoad(t, Source{File: file})
	write(t, file, oneServer+"log: {level: debug}\n")
	changed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, file, nil, cfg.Digest(), 0, func() { close(changed) }, func(err error) { t.Error(err) })
	}()
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("not told")
	}
	cancel()
	<-done
}

func TestWatchLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	file := writeFile(t, oneServer)
	cfg := mustLoad(t, Source{File: file})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	Watch(ctx, file, nil, cfg.Digest(), time.Millisecond, func() { t.Error("changed") }, func(err error) { t.Error(err) })
	if err := leaks.Wait(before); err != nil {
		t.Error(err)
	}
}
