//go:build linux

package e2e

import (
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/await"
)

// dropping listens at a port whose SYNs are dropped until take is called: its
// queue is full.
func dropping(t *testing.T, port int) (take func(http.Handler)) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "dropping")
	ln, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close() // ln has a descriptor of its own
	t.Cleanup(func() { _ = ln.Close() })
	for {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 300*time.Millisecond)
		if err != nil {
			break // it is full
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	return func(h http.Handler) {
		s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		t.Cleanup(func() { _ = s.Close() })
		go func() { _ = s.Serve(ln) }()
	}
}

// The network drops what the first shim sends to connect until it gives up, which
// it does before a client of the default 2 s. The client goes on to the second
// shim, and the first one could have its connection when nobody waits for it any
// more.
func TestALostSYNExecutesNothingTwice(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn")
	for _, version := range []string{v436, v510, v511} {
		t.Run(version, func(t *testing.T) {
			t.Parallel() // it waits for most of its time
			near := startMortal(t)
			server := near.Server
			far := &mortal{Server: server, address: "127.0.0.1:0"} // the same one, at another address
			far.start(t)
			t.Cleanup(far.kill)
			first, second := startShim(t, near.address), startShim(t, far.address)
			client := newClient(t, version, standInApp, first.Listen, second.Listen)
			template := client.must(t, 0, "saveJob", job("template")).id(t)

			near.kill()
			_, port, err := net.SplitHostPort(near.address)
			if err != nil {
				t.Fatal(err)
			}
			number, err := strconv.Atoi(port)
			if err != nil {
				t.Fatal(err)
			}
			take := dropping(t, number)
			given := make(chan struct{})
			go func() {
				defer close(given)
				await.That(t, "the first shim gives up", func() bool {
					return first.metric(t, "powerjob_shim_unanswered_total") > 0
				}, func() string { return "" })
				take(server)
			}()
			if r := client.call(0, "runJob", template, "", 0); r.Exception != "" || !r.Success {
				t.Errorf("the call ended with %v", r)
			}
			<-given
			time.Sleep(2 * time.Second) // whatever were late would arrive now
			if n := server.Executed("runJob"); n != 1 {
				t.Errorf("executed %d times, want once", n)
			}
			for _, reason := range []string{"connect", "caller_gone"} {
				t.Logf("%s: %d", reason, first.metric(t, "powerjob_shim_unanswered_total", "reason", reason))
			}
		})
	}
}
