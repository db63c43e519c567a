// Package pebble runs Let's Encrypt's test authority for tests, on loopback: a
// certificate authority that really checks challenges. The program is built from
// test/tools, so that its modules are not among the product's.
//
//	authority, err := pebble.New(t.TempDir())
//	err = authority.Start(httpPort, tlsPort, 30*time.Second)
//	defer authority.Stop()
package pebble

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Server is an authority that can be started and stopped repeatedly. It forgets
// everything when it is stopped.
type Server struct {
	Directory string // the directory's URL, known before the first Start
	Root      string // a PEM file to check that URL's certificate with; the first Start writes it

	binary, address string

	cmd  *exec.Cmd // nil: it does not run
	done chan struct{}

	mu  sync.Mutex // protects log
	log []string   // lines, from all starts
}

// New builds the program into dir and chooses an address. It does not start it.
func New(dir string) (*Server, error) {
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for the module: %w", err)
	}
	s := &Server{Root: filepath.Join(dir, "root.pem"), binary: filepath.Join(dir, "pebble")}
	build := exec.Command("go", "build", "-o", s.binary, "./pebble") //nolint:gosec // the caller's directory
	build.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(gomod))), "test", "tools")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building pebble: %w\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { _ = ln.Close() }()
	s.address = ln.Addr().String()
	s.Directory = "https://" + s.address + "/dir"
	return s, nil
}

// Start starts the authority and waits until it listens. It sends challenges to these
// ports of 127.0.0.1 instead of 80 and 443. Certificates of the profile shortlived are
// valid for the time shortlived, in whole seconds; those of the profile default for 90
// days.
func (s *Server) Start(httpPort, tlsPort int, shortlived time.Duration) error {
	s.cmd = exec.Command(s.binary, "-listen", s.address, "-root", s.Root, //nolint:gosec // built by New
		"-http", fmt.Sprint(httpPort), "-tls", fmt.Sprint(tlsPort), "-validity", shortlived.String())
	s.cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=0")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		return err
	}
	started := make(chan struct{})
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "Listening on") {
				close(started)
			}
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			s.mu.Unlock()
		}
		_ = s.cmd.Wait() // Stop has killed it, usually
	}()
	select {
	case <-started:
		return nil
	case <-s.done:
		return fmt.Errorf("pebble does not start:\n%s", s.Log())
	}
}

// Stop ends the authority if it runs.
func (s *Server) Stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill() // it may have ended by itself
		<-s.done
		s.cmd = nil
	}
}

// Count returns how often text is in the log.
func (s *Server) Count(text string) int { return strings.Count(s.Log(), text) }

// Issued returns how many certificates were signed.
func (s *Server) Issued() int { return s.Count("Issued certificate serial") }

// Log returns what the authority has written.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}
