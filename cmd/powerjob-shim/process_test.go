package main

import (
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"powerjob-shim/internal/shimtest"
)

// patience is how long things may take on a busy machine.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(shimtest.Main(m)) }

// start runs "powerjob-shim run" on free ports and waits until it has started.
func start(t *testing.T, environ []string, args ...string) *shimtest.Process {
	t.Helper()
	return launch(t, environ, onFreePorts(args...)...).Started(t)
}

// onFreePorts returns the arguments for "powerjob-shim run" on free ports.
func onFreePorts(args ...string) []string {
	return append([]string{"run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, args...)
}

// launch starts the program and does not wait.
func launch(t *testing.T, environ []string, args ...string) *shimtest.Process {
	t.Helper()
	cmd := shimtest.Command(t, args...)
	cmd.Env = environ
	return shimtest.Start(t, cmd)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
