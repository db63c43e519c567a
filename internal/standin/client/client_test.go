package client

import (
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/wireclient"
)

// start runs a stand-in server and returns it with its "host:port".
func start(t *testing.T, o legacy.Options) (*legacy.Server, string) {
	t.Helper()
	s := legacy.New(o)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, strings.TrimPrefix(url, "http://")
}

func connect(t *testing.T, addresses ...string) *Client {
	t.Helper()
	c, err := New(Config{Addresses: addresses, AppName: "app1", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheClientExecutesTwiceWithoutTheHeaderAndOnceWithIt(t *testing.T) {
	for mode, want := range map[legacy.Mode]int{legacy.Legacy: 6, legacy.Patched: 3, legacy.CheckOn: 3} {
		s, address := start(t, legacy.Options{Mode: mode})
		c := connect(t, address)
		var last int64
		for range 3 {
			r, err := c.Call("saveJob", Params{"jobName": "a"})
			if err != nil || !r.Success {
				t.Fatalf("%v: %+v, %v", mode, r, err)
			}
			last = r.ID()
		}
		if got := s.Executed("saveJob"); got != want {
			t.Errorf("%v: 3 calls were executed %d times, want %d", mode, got, want)
		}
		if last != int64(want) {
			t.Errorf("%v: the caller saw id %d last, want %d", mode, last, want)
		}
	}
}

func TestThreadsSharingAClientAreSafeAndCanOverwriteEachOthersToken(t *testing.T) {
	s, address := start(t, legacy.Options{})
	c := connect(t, address)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := c.Call("runJob", Params{"jobId": 1, "delay": 0}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.Received("runJob"); got != 160 {
		t.Errorf("80 calls made %d requests, want 160", got)
	}
}

func TestAServerWithoutAuthAppStopsTheConstructor(t *testing.T) {
	_, address := start(t, legacy.Options{Mode: legacy.NoAuthApp})
	_, err := New(Config{Addresses: []string{address}, AppName: "app1", Password: "pw"})
	var status *StatusError
	if !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("error %v, want a 404", err)
	}
}

func TestAWrongPasswordStopsTheConstructor(t *testing.T) {
	_, address := start(t, legacy.Options{})
	_, err := New(Config{Addresses: []string{address}, AppName: "app1", Password: "no"})
	if err == nil || !strings.Contains(err.Error(), "AUTH_FAILED_INCORRECT_PASSWORD") {
		t.Errorf("error %v", err)
	}
}

func TestTheAddressThatWorkedIsRemembered(t *testing.T) {
	s, address := start(t, legacy.Options{Mode: legacy.Patched})
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's listener
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, dead, address)
	if got := *c.current.Load(); got != address {
		t.Errorf("current address %s, want %s", got, address)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call("fetchAllJob", nil); !errors.Is(err, ErrNoServer) {
		t.Errorf("error %v, want ErrNoServer", err)
	}
}

func TestTheTimeLimitCoversTheWholeCall(t *testing.T) {
	t.Parallel()
	s, address := start(t, legacy.Options{Mode: legacy.Patched, Fault: func(r legacy.Request) legacy.Fault {
		if r.Call == "saveJob" {
			return legacy.Fault{DelayAfter: time.Minute}
		}
		return legacy.Fault{}
	}})
	transport := &SocketTransport{Timeout: time.Minute}
	c, err := New(Config{Addresses: []string{address}, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	transport.Timeout = DefaultTimeout // long enough for the request to arrive even on a busy machine
	if _, err := c.Call("saveJob", nil); !errors.Is(err, ErrNoServer) {
		t.Errorf("error %v, want ErrNoServer", err)
	}
	if got := s.Received("saveJob"); got != 1 {
		t.Errorf("%d requests, want 1: a timeout is not repeated at the same address", got)
	}
}

func TestTheOldClientSendsOnceWithoutATokenAndFailsOver(t *testing.T) {
	cut := true
	s := legacy.New(legacy.Options{Mode: legacy.NoAuthApp, Fault: func(r legacy.Request) legacy.Fault {
		if r.Call == "copyJob" && cut {
			cut = false
			return legacy.Fault{Cut: legacy.CutInBody}
		}
		return legacy.Fault{}
	}})
	first, second := httptest.NewServer(s), httptest.NewServer(s)
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	c, err := NewV4(Config{Addresses: []string{first.Listener.Addr().String(), second.Listener.Addr().String()}, AppName: "app1", Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Call("saveJob", Params{"jobName": "a"}); err != nil || r.ID() != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := c.Call("copyJob", Params{"jobId": 1}); err != nil || r.ID() != 3 {
		t.Errorf("%+v, %v; want the second copy, made by the other address", r, err)
	}
	var got []string
	for _, r := range s.Requests() {
		got = append(got, r.Call+" "+r.Token+r.AppID)
	}
	if want := "assert , saveJob , copyJob , copyJob "; strings.Join(got, ", ") != want {
		t.Errorf("requests %q, want %q", got, want)
	}
}

func TestACutIsRepeatedOnAPooledConnectionOnly(t *testing.T) {
	cut := true
	s, address := start(t, legacy.Options{Fault: func(legacy.Request) legacy.Fault {
		if cut {
			return legacy.Fault{Cut: legacy.CutBeforeStatus}
		}
		return legacy.Fault{}
	}})
	transport := &SocketTransport{}
	r := Request{Path: "/openApi/fetchAllJob", ContentType: wireclient.FormValues, Body: []byte("appId=1")}
	if _, err := transport.RoundTrip(address, r); err == nil {
		t.Error("a cut on a new connection is no error")
	}
	if got := s.Received(""); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
	cut = false
	if _, err := transport.RoundTrip(address, r); err != nil { // leaves a pooled connection
		t.Fatal(err)
	}
	cut = true
	if _, err := transport.RoundTrip(address, r); err == nil {
		t.Error("cut twice, and no error")
	}
	if got := s.Received(""); got != 4 {
		t.Errorf("%d requests, want 4: the third one twice, over the pooled connection and over a new one", got)
	}
}
