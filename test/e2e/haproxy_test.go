package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"

	"powerjob-shim/internal/children"
)

// startHAProxy runs haproxy, as Debian's package has it, in front of a server
// and returns its address. It lowercases the names of all header fields. The
// lines join its section defaults.
func startHAProxy(t *testing.T, server string, lines ...string) string {
	t.Helper()
	program := need(t, "haproxy")[0]
	l, err := net.Listen("tcp", "127.0.0.1:0") // haproxy gets the socket: no race for a port
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()

	config := "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
	for _, line := range lines {
		config += "  " + line + "\n"
	}
	config += fmt.Sprintf("listen shim\n  bind fd@3\n  server one %s\n", server)
	file := fileWith(t, "haproxy.cfg", config)
	var output bytes.Buffer
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.ExtraFiles = []*os.File{socket} // fd 3
	children.DieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy says: %s", output.String())
		}
	})
	return l.Addr().String() // requests wait in the socket's backlog until it is up
}
