// Command pebble is Let's Encrypt's test authority, Pebble, with what it needs
// around it: a DNS server for which every name is this machine, and an https
// certificate of its own. Everything is on loopback, in memory, and trusts
// nobody's word: challenges are really looked at.
//
//	pebble -listen 127.0.0.1:14000 -http 5002 -tls 5001 -root root.pem -validity 30s
//
// Its directory is then at https://127.0.0.1:14000/dir, and root.pem is what to
// check that address's certificate with. The log goes to standard output; it
// has one line "Issued certificate" for each.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:14000", "`address` of the ACME server")
	httpPort := flag.Int("http", 5002, "`port` to which HTTP-01 goes, instead of 80")
	tlsPort := flag.Int("tls", 5001, "`port` to which TLS-ALPN-01 goes, instead of 443")
	root := flag.String("root", "root.pem", "`file` with the https certificate; made where it does not exist")
	validity := flag.Duration("validity", 90*24*time.Hour, "of certificates with the profile shortlived")
	flag.Parse()
	logger := log.New(os.Stdout, "", log.LstdFlags)
	rand.Reader = longSerials{rand.Reader}
	if err := run(logger, *listen, *httpPort, *tlsPort, *root, *validity); err != nil {
		logger.Fatal(err)
	}
}

// longSerials makes Pebble draw serial numbers of eight bytes only. It cannot
// find a certificate again whose number is shorter and has its highest bit set
// (1 in 256): it stores the number without the leading zero that DER puts
// there, and looks for it with that zero.
type longSerials struct{ io.Reader }

func (r longSerials) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n == 8 && p[0]&0x7f == 0 { // as crypto/rand.Int draws below math.MaxInt64
		p[0] = 1
	}
	return n, err
}

func run(logger *log.Logger, listen string, httpPort, tlsPort int, root string, validity time.Duration) error {
	resolver, err := startDNS()
	if err != nil {
		return err
	}
	certificate, err := ownCertificate(root)
	if err != nil {
		return err
	}
	// An order that names no profile gets any of them: Pebble draws lots.
	profiles := map[string]ca.Profile{
		"default":    {ValidityPeriod: uint64((90 * 24 * time.Hour).Seconds())},
		"shortlived": {ValidityPeriod: uint64(validity.Seconds())},
	}
	store := db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, profiles)
	validation := va.New(logger, httpPort, tlsPort, false, resolver, store)
	front := wfe.New(logger, store, validation, authority, []string{"pebble.test"}, false, false, 1, 1)
	ln, err := tls.Listen("tcp", listen, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	logger.Printf("Listening on %s", ln.Addr())
	return http.Serve(ln, front.Handler()) //nolint:gosec // a test's own server needs no timeouts
}

// startDNS answers that every name is at 127.0.0.1, and returns where it is.
func startDNS() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // Pebble asks by TCP
	if err != nil {
		return "", err
	}
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			}}
		}
		_ = w.WriteMsg(answer) // the asker is gone if this fails
	})}
	go func() { _ = server.ActivateAndServe() }() // until the process ends
	return ln.Addr().String(), nil
}

// ownCertificate reads a certificate for 127.0.0.1 from root; where there is
// none it makes one and writes it there.
func ownCertificate(root string) (tls.Certificate, error) {
	if have, err := tls.LoadX509KeyPair(root, root); err == nil {
		return have, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, os.WriteFile(root, both, 0o600)
}
