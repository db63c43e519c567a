package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/freeport"
	"powerjob-shim/internal/pebble"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/testca"
)

// startTLSShim runs a shim whose first listener has this tls block, and whose
// second one is plain.
func startTLSShim(t *testing.T, upstream, https, plain, block string) *shim {
	t.Helper()
	config := fmt.Sprintf("listen:\n  - address: %q\n    tls: %s\n  - address: %q\nupstreams: {default: {servers: [\"http://%s\"]}}\n", https, block, plain, upstream)
	file := fileWith(t, "config.yaml", config)
	return runShim(t, "--config", file)
}

// anyPort is any free port, to be known later.
const anyPort = "127.0.0.1:0"

// freePort is one to be known beforehand.
func freePort(t *testing.T) (address string, port int) {
	t.Helper()
	port, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), port
}

// selfSigned is a tls block with storage in a directory of the test.
func selfSigned(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("{mode: self-signed, storage: %q}", t.TempDir())
}

// writePair writes a new certificate for a name, first the certificate, then
// the key, as careless scripts do.
func writePair(t *testing.T, dir, name string) (block string) {
	t.Helper()
	crt, private := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	testca.New(t).WriteLeaf(t, crt, private, name)
	return fmt.Sprintf("{mode: files, files: [{cert: %q, key: %q}]}", crt, private)
}

// startPebble starts a certificate authority that looks for challenges on
// these ports.
func startPebble(t *testing.T, httpPort, tlsPort int) *pebble.Server {
	t.Helper()
	ca, err := pebble.New(t.TempDir())
	if err != nil {
		missing(t, "pebble cannot be had: %v", err)
	}
	if err := ca.Start(httpPort, tlsPort, time.Hour); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ca.Stop)
	return ca
}

func acme(ca *pebble.Server, storage string) string {
	return fmt.Sprintf("{mode: acme, domains: [shim.test], ca: %q, ca_root: %q, profile: default, storage: %q}", ca.Directory, ca.Root, storage)
}

// certificateOf returns what a listener shows to who asks for shim.test.
func certificateOf(t *testing.T, address string) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{ServerName: "shim.test", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0]
}

func TestTheJavaClientOverHTTPSIsExecutedOnce(t *testing.T) {
	t.Parallel()
	need(t, "java", "mvn")
	for mode, start := range map[string]func(*testing.T, string) *shim{
		"self-signed": func(t *testing.T, server string) *shim {
			return startTLSShim(t, server, anyPort, anyPort, selfSigned(t))
		},
		"files": func(t *testing.T, server string) *shim {
			return startTLSShim(t, server, anyPort, anyPort, writePair(t, t.TempDir(), "shim.test"))
		},
		"acme": func(t *testing.T, server string) *shim {
			https, tlsPort := freePort(t)
			plain, httpPort := freePort(t)
			s := startTLSShim(t, server, https, plain, acme(startPebble(t, httpPort, tlsPort), t.TempDir()))
			await.That(t, "the certificate is signed", func() bool { return strings.Contains(certificateOf(t, https).Issuer.CommonName, "Pebble") }, func() string { return "" })
			return s
		},
	} {
		for _, version := range []string{v510, v511} {
			t.Run(mode+", "+version, func(t *testing.T) {
				t.Parallel()
				server, address := startStandIn(t, legacy.Options{})
				shim := start(t, address)
				client := newClient(t, version, standInApp, "https://"+shim.Listen)
				for i := range saves {
					client.must(t, 0, "saveJob", job(fmt.Sprint("nightly ", i)))
				}
				if got := server.Executed("saveJob"); got != saves {
					t.Errorf("%d saves were executed %d times", saves, got)
				}
				if got := shim.metric(t, "powerjob_shim_resends_total"); got != 0 {
					t.Errorf("%d re-sends: the header was lost", got)
				}
			})
		}
	}
}

func TestCurlIsSpokenToInHTTP1(t *testing.T) {
	need(t, "curl")
	_, address := startStandIn(t, legacy.Options{})
	shim := startTLSShim(t, address, anyPort, anyPort, selfSigned(t))
	for _, version := range []string{"--http1.1", "--http2"} {
		out, err := exec.Command("curl", "--silent", "--show-error", "--insecure", "--include", version, "--data", "jobId=1",
			"--write-out", "spoken: %{http_version}", "https://"+shim.Listen+"/openApi/runJob").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "\r\nX-POWERJOB-AUTH-PASSED: true\r\n") || !strings.HasSuffix(string(out), "spoken: 1.1") {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
	}
}

func TestOpenSSLAgreesOnHTTP1OrIsRefused(t *testing.T) {
	need(t, "openssl")
	_, address := startStandIn(t, legacy.Options{})
	shim := startTLSShim(t, address, anyPort, anyPort, selfSigned(t))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-alpn", "http/1.1"}, "ALPN protocol: http/1.1"},
		{[]string{"-alpn", "h2,http/1.1"}, "ALPN protocol: http/1.1"},
		{[]string{"-alpn", "h2"}, "no application protocol"},
		{nil, "No ALPN negotiated"},
		{[]string{"-tls1_2"}, "Protocol  : TLSv1.2"},
		{[]string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, "protocol version"},
	} {
		cmd := exec.Command("openssl", append([]string{"s_client", "-connect", shim.Listen}, c.args...)...)
		cmd.Stdin = strings.NewReader("")
		out, _ := cmd.CombinedOutput() // it fails where it is refused
		if !strings.Contains(string(out), c.want) {
			t.Errorf("%q: want %q in\n%s", c.args, c.want, out)
		}
	}
}

// TestTwoInstancesWithOneStorageAskOnce has the authority look at the first
// instance only, so that it may have to answer for the second one.
func TestTwoInstancesWithOneStorageAskOnce(t *testing.T) {
	t.Parallel()
	need(t)
	_, address := startStandIn(t, legacy.Options{})
	https, tlsPort := freePort(t)
	plain, httpPort := freePort(t)
	ca, storage := startPebble(t, httpPort, tlsPort), t.TempDir()
	second := startTLSShim(t, address, anyPort, anyPort, acme(ca, storage))
	first := startTLSShim(t, address, https, plain, acme(ca, storage))
	for _, s := range []*shim{first, second} {
		await.That(t, "the certificate is signed", func() bool { return strings.Contains(certificateOf(t, s.Listen).Issuer.CommonName, "Pebble") }, ca.Log)
	}
	if !certificateOf(t, first.Listen).Equal(certificateOf(t, second.Listen)) {
		t.Error("the instances have different certificates")
	}
	if got := ca.Issued(); got != 1 {
		t.Errorf("%d certificates were issued, want 1", got)
	}
	if ca.Count("There are now 2 accounts") > 0 {
		t.Error("both instances made an account")
	}
}

func TestNoCallFailsWhileTheCertificateChanges(t *testing.T) {
	t.Parallel()
	need(t)
	_, address := startStandIn(t, legacy.Options{})
	dir := t.TempDir()
	shim := startTLSShim(t, address, anyPort, anyPort, writePair(t, dir, "first.test"))

	var calls, failed atomic.Int64
	var seen sync.Map // names in the certificates that were shown
	stop := make(chan struct{})
	var all sync.WaitGroup
	for caller := range 8 {
		transport := &http.Transport{
			DisableKeepAlives: caller%2 == 0, // the others keep the certificate they began with
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
				seen.Store(c.PeerCertificates[0].DNSNames[0], true)
				return nil
			}},
		}
		all.Go(func() {
			client := &http.Client{Transport: transport, Timeout: patience}
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				res, err := client.Post("https://"+shim.Listen+"/openApi/fetchAllJob", "application/x-www-form-urlencoded", strings.NewReader("appId=1"))
				calls.Add(1)
				if err != nil {
					failed.Add(1)
					t.Log(err)
					continue
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					failed.Add(1)
				}
			}
		})
	}
	for _, name := range []string{"second.test", "third.test"} {
		writePair(t, dir, name)
		await.That(t, name+" is shown", func() bool { _, ok := seen.Load(name); return ok }, func() string { return "" })
	}
	close(stop)
	all.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls failed", failed.Load(), calls.Load())
	}
	t.Logf("%d calls, none failed", calls.Load())
}
