package connect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestADialProblemIsNamedInAFewWords(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED), "connection refused"},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Name: "secret.inside", IsNotFound: true}}, "its name cannot be resolved (no such host)"},
		{&tls.CertificateVerificationError{Err: errors.New("secret")}, "its certificate is not trusted"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "connecting timed out"},
		{fmt.Errorf("dial tcp: %w", syscall.EHOSTUNREACH), "no way to its address"},
		{fmt.Errorf("dial tcp: %w", syscall.ENETUNREACH), "no way to its address"},
		{errors.New("secret"), "connecting failed"},
	} {
		if got := Problem(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
