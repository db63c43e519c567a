package main

import (
	"crypto/tls"
	"testing"

	"go.uber.org/zap"
)

func TestAHandshakeGetsTheMostSpecificCertificate(t *testing.T) {
	c, err := newCertificates(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string) *tls.Certificate { return c.find(&tls.ClientHelloInfo{ServerName: name}) }
	if find("a.test") != nil {
		t.Error("a certificate without any Secret")
	}
	exact, wildcard, every := new(tls.Certificate), new(tls.Certificate), new(tls.Certificate)
	c.use(map[string]*tls.Certificate{"a.test": exact, "*.a.test": wildcard})
	for name, want := range map[string]*tls.Certificate{"A.test.": exact, "x.a.test": wildcard, "y.x.a.test": nil, "other": nil, "": nil} {
		if find(name) != want {
			t.Errorf("%q gets another certificate", name)
		}
	}
	c.use(map[string]*tls.Certificate{"a.test": exact, "": every})
	for name, want := range map[string]*tls.Certificate{"a.test": exact, "x.a.test": every, "": every} {
		if find(name) != want {
			t.Errorf("with one for every host, %q gets another certificate", name)
		}
	}
}
