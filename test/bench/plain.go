package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// The bench is also the candidate "plain ReverseProxy": a proxy of a few lines, with
// a Transport tuned like the shim's; the same with a BufferPool, which saves an
// allocation of 32 KiB for each answer; and over TLS.
func init() {
	if len(os.Args) == 4 && strings.HasPrefix(os.Args[1], "plain") {
		plainProxy(os.Args[1], os.Args[2], os.Args[3])
		os.Exit(1)
	}
}

type buffers struct{ sync.Pool }

func (b *buffers) Get() []byte  { return *b.Pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.Pool.Put(&p) }

func plainProxy(kind, address, upstream string) {
	target := &url.URL{Scheme: "http", Host: upstream}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded()
		},
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 1024, IdleConnTimeout: 15 * time.Second,
			DisableCompression: true, ResponseHeaderTimeout: 30 * time.Second,
		},
	}
	if kind == "plain-pool" {
		proxy.BufferPool = &buffers{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}
	}
	srv := &http.Server{Addr: address, Handler: proxy, ReadHeaderTimeout: time.Minute}
	if kind != "plain-tls" {
		_ = srv.ListenAndServe() // until it is killed
		return
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return
	}
	secure := &httptest.Server{Listener: ln, Config: srv} // it brings a certificate
	secure.StartTLS()
	select {} // until it is killed
}
