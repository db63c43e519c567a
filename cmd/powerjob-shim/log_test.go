//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/shimtest"
)

// startOn runs the program with its standard error on w, whose other end is r. When it
// has started, startOn stops reading r and returns it with its addresses.
func startOn(t *testing.T, r io.Reader, w *os.File, args ...string) (p *shimtest.Process, listen, admin string) {
	t.Helper()
	cmd := shimtest.Command(t, onFreePorts(args...)...)
	cmd.Stderr = w
	p = shimtest.Start(t, cmd)
	_ = w.Close() // the child has it
	for lines := bufio.NewReaderSize(r, 16); ; {
		text, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var line struct {
			Msg    string
			Listen []string
			Admin  string
		}
		_ = json.Unmarshal([]byte(text), &line) // some lines are not JSON
		if line.Msg == "started" {
			return p, line.Listen[0], line.Admin
		}
	}
}

// askMany makes n requests with a long path, one after the other, and fails if one is not answered.
func askMany(t *testing.T, listen string, n int) {
	t.Helper()
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	for i := range n {
		res, err := client.Get("http://" + listen + "/" + strings.Repeat("a", 1500))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// droppedLines returns powerjob_shim_log_dropped_total.
func droppedLines(t *testing.T, admin string) (n int) {
	t.Helper()
	_, body := get(t, "http://"+admin+"/metrics")
	_, after, _ := strings.Cut(body, "\npowerjob_shim_log_dropped_total ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatalf("/metrics has no log_dropped_total: %v", err)
	}
	return n
}

// endsWell sends SIGTERM and wants exit code 0.
func endsWell(t *testing.T, p *shimtest.Process) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Exit(t); code != 0 {
		t.Errorf("the process ended with exit code %d", code)
	}
}

func TestAReaderOfTheLogThatGoesAwayEndsNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, listen, admin := startOn(t, r, w, "--upstream", echo(t))
	_ = r.Close() // the next write is a SIGPIPE
	askMany(t, listen, 3)
	await.That(t, "lines are counted as dropped", func() bool { return droppedLines(t, admin) >= 3 }, func() string { return "" })
	askMany(t, listen, 3)
	endsWell(t, p)
}

func TestAReaderOfTheLogThatStallsHoldsUpNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	p, listen, admin := startOn(t, r, w, "--upstream", echo(t))
	askMany(t, listen, 2000) // 2.6 MB of log, more than pipe, queue and batch can hold
	if n := droppedLines(t, admin); n == 0 {
		t.Error("no line was dropped")
	}
	endsWell(t, p)
}

func TestALineOfTheLogHasABoundedLength(t *testing.T) {
	p := start(t, nil, "--upstream", echo(t))
	c, err := net.Dial("tcp", p.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET /"+strings.Repeat("a", 60_000)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	_, _ = io.Copy(io.Discard, c)
	p.WaitFor(t, "request")
	for line := range strings.Lines(p.Log()) {
		if len(line) > 4096 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
}

// openTerminal returns both ends of a pseudo terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestOnATerminalTheLogIsForPeople(t *testing.T) {
	master, slave := openTerminal(t)
	// The port is chosen here, because this test does not look for it in the log.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := free.Addr().String()
	_ = free.Close()
	cmd := shimtest.Command(t, "run", "--listen", listen, "--admin", "127.0.0.1:0", "--upstream", echo(t))
	cmd.Stderr = slave
	shimtest.Start(t, cmd)
	_ = slave.Close()
	lines := bufio.NewScanner(master)
	next := func(with string) string {
		t.Helper()
		for lines.Scan() {
			line := strings.TrimRight(lines.Text(), "\r")
			if n := utf8.RuneCountInString(line); n > 160 {
				t.Errorf("%d columns: %s", n, line)
			}
			if strings.Contains(line, with) {
				return line
			}
		}
		t.Fatalf("the terminal does not show %q: %v", with, lines.Err())
		return ""
	}
	began := time.Now().Format("2006-01-02 ")
	if line := next(" started"); !strings.HasPrefix(line, began) || !strings.HasPrefix(line[len("2006-01-02 15:04:05.000"):], " INFO  started") {
		t.Errorf("got %q", line)
	}
	res, err := http.Post("http://"+listen+"/openApi/saveJob?"+strings.Repeat("q", 500), "application/json", strings.NewReader(`{"appId":1}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if line := next("/openApi/saveJob"); !strings.HasPrefix(line[len("2006-01-02 15:04:05.000"):], " forwarded 200 ") || !strings.Contains(line, "s POST /openApi/saveJob ") {
		t.Errorf("got %q", line)
	}
	askMany(t, listen, 1)
	next("/aaaa")
}
