package peer

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/testca"
)

// plain returns both ends of a TCP connection.
func plain(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); f.Close() })
	return c.(*net.TCPConn), f.(*net.TCPConn)
}

// secure returns both ends of a TLS connection of one version, on top of the TCP
// connection's two ends, and has shaken hands.
func secure(t *testing.T, version uint16) (near, far *tls.Conn, nearTCP, farTCP *net.TCPConn) {
	t.Helper()
	return secureWith(t, version, tls.NoClientCert)
}

// secureWith asks for client certificates too: then a server of TLS 1.3 sends its
// session ticket after the handshake, else within its first flight.
func secureWith(t *testing.T, version uint16, auth tls.ClientAuthType) (near, far *tls.Conn, nearTCP, farTCP *net.TCPConn) {
	t.Helper()
	nearTCP, farTCP = plain(t)
	ca := testca.New(t)
	cert, key := ca.Leaf(t, "powerjob.test")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	far = tls.Server(farTCP, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version, ClientAuth: auth})
	near = tls.Client(nearTCP, &tls.Config{RootCAs: ca.Pool(), ServerName: "powerjob.test", MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)})
	done := make(chan error, 1)
	go func() { done <- far.Handshake() }()
	if err := near.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return near, far, nearTCP, farTCP
}

// arrives waits until the state of the socket is want.
func arrives(t *testing.T, c *net.TCPConn, want State) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if Poll(rawOf(c)) == want {
			return
		}
	}
	t.Fatalf("the socket never became %s", want)
}

func expect(t *testing.T, when string, c net.Conn, want State) {
	t.Helper()
	if got := Look(c); got != want {
		t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// works sends a byte each way.
func works(t *testing.T, when string, near, far net.Conn) {
	t.Helper()
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		_, errW := way[0].Write([]byte("x"))
		var b [1]byte
		_ = way[1].SetReadDeadline(time.Now().Add(30 * time.Second))
		_, errR := io.ReadFull(way[1], b[:])
		_ = way[1].SetReadDeadline(time.Time{})
		if errW != nil || errR != nil || b[0] != 'x' {
			t.Fatalf("%s: got %q; %v, %v", when, b, errW, errR)
		}
	}
}

func TestAPlainPeerThatIsThereIsQuiet(t *testing.T) {
	near, far := plain(t)
	expect(t, "a new connection", near, Quiet)
	works(t, "after looking", near, far)
	expect(t, "after bytes each way", near, Quiet)
}

func TestPlainUnaskedBytesAreSeenAndStay(t *testing.T) {
	near, far := plain(t)
	_, _ = far.Write([]byte("ab"))
	arrives(t, near, Unasked)
	expect(t, "two bytes", near, Unasked)
	var b [2]byte
	if _, err := io.ReadFull(near, b[:]); err != nil || string(b[:]) != "ab" {
		t.Errorf("after looking %q was left, %v", b, err)
	}
}

func TestAPlainPeerThatHasClosedIsGone(t *testing.T) {
	for name, end := range map[string]func(c *net.TCPConn){
		"closed":            func(c *net.TCPConn) { _ = c.Close() },
		"half closed":       func(c *net.TCPConn) { _ = c.CloseWrite() },
		"reset":             func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"closed with bytes": func(c *net.TCPConn) { _, _ = c.Write([]byte("bytes")); _ = c.Close() },
	} {
		if name == "closed with bytes" && runtime.GOOS != "linux" {
			continue // Poll's comment
		}
		near, far := plain(t)
		end(far)
		arrives(t, near, Gone)
		expect(t, name, near, Gone)
	}
	near, _ := plain(t)
	_ = near.Close()
	expect(t, "closed here", near, Gone)
}

// While net/http waits in Read, the socket can be asked all the same.
func TestASocketCanBeAskedWhileSomebodyReads(t *testing.T) {
	near, far := plain(t)
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = near.Read(make([]byte, 1)) })
	if got := Poll(rawOf(near)); got != Quiet {
		t.Errorf("got %s", got)
	}
	_ = far.Close()
	arrives(t, near, Gone)
	reading.Wait()
}

func TestASessionTicketIsNothingUnasked(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		name := tls.VersionName(version)
		for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert} {
			near, far, nearTCP, _ := secureWith(t, version, auth)
			if version == tls.VersionTLS13 && auth != tls.NoClientCert {
				arrives(t, nearTCP, Unasked) // the ticket
			}
			expect(t, name+", after the handshake", near, Quiet)
			works(t, name, near, far)
			expect(t, name+", after bytes each way", near, Quiet)
			works(t, name+", again", near, far)
		}
	}
}

func TestUnaskedBytesWithinTLSAreSeen(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		name := tls.VersionName(version)
		near, far, nearTCP, _ := secure(t, version)
		works(t, name, near, far)
		_, _ = far.Write([]byte("unasked"))
		arrives(t, nearTCP, Unasked)
		expect(t, name+", on the socket", near, Unasked)

		near, far, nearTCP, _ = secure(t, version)
		_, _ = far.Write([]byte("answer, and more"))
		arrives(t, nearTCP, Unasked)
		if _, err := io.ReadFull(near, make([]byte, len("answer"))); err != nil {
			t.Fatal(err)
		}
		arrives(t, nearTCP, Quiet) // what is left is in tls.Conn
		expect(t, name+", within the connection", near, Unasked)
	}
}

func TestATLSPeerThatHasClosedIsGone(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for end, do := range map[string]func(far *tls.Conn, tcp *net.TCPConn){
			"close_notify alone":       func(far *tls.Conn, _ *net.TCPConn) { _ = far.CloseWrite() },
			"close_notify and FIN":     func(far *tls.Conn, _ *net.TCPConn) { _ = far.Close() },
			"FIN without close_notify": func(_ *tls.Conn, tcp *net.TCPConn) { _ = tcp.Close() },
			"reset":                    func(_ *tls.Conn, tcp *net.TCPConn) { _ = tcp.SetLinger(0); _ = tcp.Close() },
		} {
			name := tls.VersionName(version) + ", " + end
			near, far, nearTCP, farTCP := secure(t, version)
			works(t, name, near, far)
			do(far, farTCP)
			want := Gone
			if end == "close_notify alone" {
				want = Unasked // as the socket has it
			}
			arrives(t, nearTCP, want)
			expect(t, name, near, Gone)
		}
	}
}

// A fresh connection of TLS 1.3: the tickets, then the end.
func TestAnEndBehindSessionTicketsIsSeen(t *testing.T) {
	for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert} {
		near, far, nearTCP, _ := secureWith(t, tls.VersionTLS13, auth)
		_ = far.CloseWrite()
		arrives(t, nearTCP, Unasked)
		for end := time.Now().Add(30 * time.Second); Look(near) != Gone; {
			if time.Now().After(end) {
				t.Fatal("the end was never seen")
			}
		}
	}
}

// Nobody can tell what half a record will be. It must not hold anybody.
func TestHalfARecordHoldsNobody(t *testing.T) {
	near, far, nearTCP, farTCP := secure(t, tls.VersionTLS12)
	works(t, "before", near, far)
	_, _ = farTCP.Write([]byte{23, 3, 3, 0, 200, 1, 2, 3})
	arrives(t, nearTCP, Unasked)
	if got := Look(near); got == Gone {
		t.Errorf("got %s", got)
	}
}

func TestAPeerWithoutASocketIsRead(t *testing.T) {
	near, far := net.Pipe()
	expect(t, "a pipe", near, Quiet)
	wrote := make(chan struct{})
	go func() { _, _ = far.Write([]byte("x")); close(wrote) }()
	for end := time.Now().Add(30 * time.Second); Look(near) != Unasked; {
		if time.Now().After(end) {
			t.Fatal("a byte was never seen")
		}
	}
	<-wrote
	_ = far.Close()
	expect(t, "a closed pipe", near, Gone)
}

func TestPollTakesNoMemory(t *testing.T) {
	near, _ := plain(t)
	raw := rawOf(near)
	if n := testing.AllocsPerRun(100, func() { Poll(raw) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
