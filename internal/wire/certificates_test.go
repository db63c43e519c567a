package wire

import (
	"crypto/tls"
	"reflect"
	"testing"

	"powerjob-shim/internal/config"
	"powerjob-shim/proxy/certs"
)

func TestATLSBlockBecomesWhatCertificatesAreMadeFrom(t *testing.T) {
	acme := config.TLS{
		Mode: config.TLSACME, Domains: []string{"a.test"}, Email: "me@a.test", CA: "https://ca.test/dir", CARoot: "root.pem", Profile: "shortlived",
		Storage: "dir", Challenges: []string{"http-01", "tls-alpn-01"}, MinVersion: "1.2",
	}
	want := certs.ACME{
		Domains: acme.Domains, Email: acme.Email, CA: acme.CA, CARoot: acme.CARoot, Profile: acme.Profile, Storage: "dir", HTTP01: true, TLSALPN01: true,
	}
	for _, c := range []struct {
		name       string
		challenges []string
		plain      bool
		http, alpn bool
	}{
		{"both", []string{"http-01", "tls-alpn-01"}, true, true, true},
		{"both, without a plain listener", []string{"http-01", "tls-alpn-01"}, false, false, true},
		{"http-01", []string{"http-01"}, true, true, false},
		{"http-01, without a plain listener", []string{"http-01"}, false, true, false},
		{"tls-alpn-01", []string{"tls-alpn-01"}, true, false, true},
	} {
		acme.Challenges, want.HTTP01, want.TLSALPN01 = c.challenges, c.http, c.alpn
		if got := certsFrom(&acme, c.plain); !reflect.DeepEqual(got, certs.Settings{ACME: &want}) {
			t.Errorf("%s: got %+v", c.name, got.ACME)
		}
	}
	files := config.TLS{Mode: config.TLSFiles, Files: []config.KeyPair{{Cert: "c", Key: "k"}}, ClientCA: "ca", MinVersion: "1.3"}
	if got := certsFrom(&files, true); !reflect.DeepEqual(got, certs.Settings{Files: []certs.KeyPair{{Cert: "c", Key: "k"}}, ClientCA: "ca", MinVersion: tls.VersionTLS13}) {
		t.Errorf("files: got %+v", got)
	}
	own := config.TLS{Mode: config.TLSSelfSigned, Names: []string{"a.test"}, Storage: "dir"}
	if got := certsFrom(&own, true); !reflect.DeepEqual(got, certs.Settings{SelfSigned: &certs.SelfSigned{Names: []string{"a.test"}, Storage: "dir"}}) {
		t.Errorf("self-signed: got %+v", got)
	}
}
