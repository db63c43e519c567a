package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// patience bounds what should happen soon on a busy machine.
const patience = 60 * time.Second

// write writes a pair into dir as name.crt and name.key.
func write(t testing.TB, dir, name string, cert, key []byte) KeyPair {
	t.Helper()
	pair := KeyPair{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	put(t, pair.Cert, cert)
	put(t, pair.Key, key)
	return pair
}

// put replaces a file as a whole, as kubelet and ACME clients do.
func put(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// logged adds a log that tests can look into.
func logged(s Settings) (Settings, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	s.Logger = zap.New(core)
	return s, logs
}

// run opens a source and runs it behind a listener that only shakes hands.
func run(t testing.TB, s Settings) (*Source, string) {
	t.Helper()
	src, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", src.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.(*tls.Conn).Handshake()
				_, _ = c.Write([]byte("x")) // with TLS 1.3 a client learns only then that it was refused
				_ = c.Close()
			}()
		}
	}()
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); src.Run(ctx, ln.Addr(), nil) }()
	t.Cleanup(func() { end(); <-done; _ = ln.Close() })
	return src, ln.Addr().String()
}

// served returns the certificate that a client gets which asks for name.
func served(t testing.TB, addr, name string) *x509.Certificate {
	t.Helper()
	leaf, err := shake(addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func shake(addr string, cfg *tls.Config) (*x509.Certificate, error) {
	dialer := net.Dialer{Timeout: patience}
	c, err := tls.DialWithDialer(&dialer, "tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n == 0 {
		return nil, err
	}
	return c.ConnectionState().PeerCertificates[0], nil
}
