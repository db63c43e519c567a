package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// validity is how long a self-signed certificate is valid. It is renewed when a
	// third of that is left.
	validity = 365 * 24 * time.Hour
	// lookAgain is how often the shim checks whether its certificate must be renewed,
	// and whether another instance with the same storage has renewed it.
	lookAgain = time.Hour
	// skew is how far clients' clocks may be behind without refusing a new certificate.
	skew = time.Hour
)

// SelfSigned says what goes into a self-signed certificate, and where it is kept.
type SelfSigned struct {
	// Names are host names, wildcards or IP addresses. Empty: localhost, its
	// addresses, and the host's name.
	Names []string

	// Storage is the directory that keeps the certificate and its key across restarts.
	// If it is "", or cannot be written to, they are kept in memory only.
	Storage string
}

// selfSigned is the keeper of one certificate that it makes itself.
type selfSigned struct {
	names   []string
	file    string // holds certificate and key, so that neither is ever without the other; "": no storage
	log     *zap.Logger
	now     func() time.Time
	current atomic.Pointer[tls.Certificate] // nil: none could be made
}

func newSelfSigned(s SelfSigned, log *zap.Logger) *selfSigned {
	names := s.Names
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
		if host, err := os.Hostname(); err == nil {
			names = append(names, strings.ToLower(host))
		}
	}
	k := &selfSigned{names: names, log: log, now: time.Now}
	if s.Storage != "" {
		sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
		first := strings.NewReplacer("*", "_", ":", "_").Replace(names[0])
		k.file = filepath.Join(s.Storage, "self-signed", fmt.Sprintf("%s-%x.pem", first, sum[:4]))
	}
	k.refresh()
	return k
}

// refresh puts the stored certificate to use. If there is none, or too little of its
// time is left, it makes and stores a new one first. If two instances do so at the same
// time, both end up with the certificate that was stored last.
func (k *selfSigned) refresh() {
	cert, err := k.stored()
	if err == nil && k.fresh(cert) {
		k.use(cert)
		return
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.log.Warn("the stored self-signed certificate cannot be read, making a new one", zap.String("file", k.file), zap.Error(err))
	}
	if now := k.current.Load(); now != nil && k.fresh(now) {
		return // it could not be stored, but is still good
	}
	content, err := k.mint()
	if err == nil {
		cert, err = parsePair(content)
	}
	if err != nil { // only if the machine has no randomness
		k.log.Error("making a self-signed certificate", zap.Error(err))
		return
	}
	if k.file == "" {
		err = errors.New("there is no storage")
	} else {
		err = store(k.file, content)
	}
	if err != nil {
		k.log.Warn("the self-signed certificate is kept in memory only, clients that remember it will see another after a restart", zap.Error(err))
	}
	k.use(cert)
}

// use makes cert the current certificate and logs it. It does nothing if cert is current
// already.
func (k *selfSigned) use(cert *tls.Certificate) {
	if old := k.current.Load(); old != nil && bytes.Equal(old.Certificate[0], cert.Certificate[0]) {
		return
	}
	k.current.Store(cert)
	sum := sha256.Sum256(cert.Certificate[0])
	k.log.Info("self-signed certificate", zap.Strings("names", k.names), zap.Time("until", cert.Leaf.NotAfter), zap.String("sha256", fmt.Sprintf("%X", sum[:])))
}

// fresh reports whether more than a third of a certificate's time is left.
func (k *selfSigned) fresh(cert *tls.Certificate) bool {
	return cert.Leaf.NotAfter.Sub(k.now()) > validity/3
}

// stored reads the stored certificate. The error wraps fs.ErrNotExist if there is none.
func (k *selfSigned) stored() (*tls.Certificate, error) {
	if k.file == "" {
		return nil, fs.ErrNotExist
	}
	content, err := os.ReadFile(k.file)
	if err != nil {
		return nil, err
	}
	return parsePair(content)
}

// parsePair parses a certificate and its key from one PEM text.
func parsePair(content []byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(content, content)
	return &cert, err
}

// mint makes a key and a certificate, and returns both as PEM. Clients may add the
// certificate to those that they trust.
func (k *selfSigned) mint() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: k.names[0], Organization: []string{"powerjob-shim self-signed"}},
		NotBefore:             k.now().Add(-skew),
		NotAfter:              k.now().Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range k.names {
		if ip := net.ParseIP(strings.Trim(name, "[]")); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), nil
}

// store writes content to file completely, or leaves the file as it was.
func store(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // if this fails, nobody reads a file with such a name
	}
	return err
}

// certificate implements keeper.
func (k *selfSigned) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := k.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, errors.New("no self-signed certificate could be made")
}

// expiries implements keeper.
func (k *selfSigned) expiries() []Expiry {
	cert := k.current.Load()
	if cert == nil {
		return nil
	}
	return expiriesOf(cert.Leaf)
}

// run implements keeper.
func (k *selfSigned) run(ctx context.Context, _, _ net.Addr) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.refresh()
		}
	}
}
