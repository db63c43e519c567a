//go:build unix

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/shimtest"
)

func TestASupervisorIsToldOfTheStart(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	supervisor, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = supervisor.Close() })
	p := start(t, []string{"NOTIFY_SOCKET=" + socket}, "--upstream", "http://127.0.0.1:1")
	_ = supervisor.SetReadDeadline(time.Now().Add(patience))
	said := make([]byte, 100)
	n, err := supervisor.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("it said %q, %v", said[:n], err)
	}
	c, err := net.Dial("tcp", p.Listen)
	if err != nil {
		t.Fatalf("after that: %v", err)
	}
	_ = c.Close()
}

// With nohup or a shell's trap "" HUP, a program begins with SIGHUP ignored. Then a
// SIGHUP cannot end it before it runs, and it still handles SIGHUPs later.
func TestAHangUpAtTheFirstMomentIsHarmlessWhereItBeginsIgnored(t *testing.T) {
	path := shimtest.Binary(t)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, file, "upstreams: {default: {servers: [\"http://127.0.0.1:1\"]}}\n")
	p := shimtest.Start(t, exec.Command(sh, append([]string{"-c", `trap '' HUP; kill -HUP $$; exec "$0" "$@"`, path}, onFreePorts("--config", file)...)...))
	p.WaitFor(t, "started")
	p.Signal(t, syscall.SIGHUP)
	p.WaitFor(t, "configuration unchanged")
}
