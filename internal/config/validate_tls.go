package config

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/mail"
	"net/url"
	"strings"

	"powerjob-shim/internal/tlsfile"
)

func (v *validator) upstreamTLS(path string, t *UpstreamTLS) {
	v.keyPair(path, "cert_file", t.CertFile, "key_file", t.KeyFile)
	if t.ServerName != "" && !isHostName(t.ServerName) {
		v.bad(path+".server_name", "%q is not a host name", t.ServerName)
	}
	for i, pin := range t.PinSHA256 {
		if hash, err := base64.StdEncoding.DecodeString(pin); err != nil || len(hash) != sha256.Size {
			v.bad(index(path+".pin_sha256", i), "%q is not the base64 of a SHA-256 hash; openssl x509 -in server.crt -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64", pin)
		}
	}
}

// keyPair wants both files or neither.
func (v *validator) keyPair(path, certKey, cert, keyKey, key string) {
	switch {
	case cert != "" && key == "":
		v.bad(path+"."+keyKey, "is missing beside %s", certKey)
	case cert == "" && key != "":
		v.bad(path+"."+certKey, "is missing beside %s", keyKey)
	}
}

// readable checks that a file can be read; an empty name means that no file is
// given. Its content is checked where it is used: while files are replaced one
// after the other, they do not fit together for a moment.
func (v *validator) readable(path, file string) {
	if file == "" {
		return
	}
	if err := tlsfile.Readable(file); err != nil {
		v.bad(path, "%v", err)
	}
}

// tokenFile checks a file that holds one token.
func (v *validator) tokenFile(path, file string) {
	if file == "" {
		return
	}
	switch _, err := ReadSecret(file); {
	case errors.Is(err, errEmptySecret):
		v.bad(path, "%s is empty; write a token into it, for example with openssl rand -hex 32", file)
	case err != nil:
		v.bad(path, "%s cannot be read: %v", file, tlsfile.Reason(err))
	}
}

func (v *validator) tls(path string, t *TLS) {
	switch t.Mode {
	case TLSACME:
		v.acme(path, t)
	case TLSFiles:
		if len(t.Files) == 0 {
			v.bad(path+".files", "is missing; write for example [{cert: /etc/shim/tls.crt, key: /etc/shim/tls.key}]")
		}
		for i, pair := range t.Files {
			at := index(path+".files", i)
			if pair == (KeyPair{}) {
				v.bad(at, "is empty; write cert and key")
			}
			v.keyPair(at, "cert", pair.Cert, "key", pair.Key)
		}
	case TLSSelfSigned:
		v.hosts(path+".names", t.Names)
	}
	switch {
	case t.Mode != TLSACME && t.Mode != TLSSelfSigned:
	case t.Storage == "":
		v.bad(path+".storage", "is empty; write a directory")
	case t.Storage != StoreRedis:
	case t.Mode == TLSSelfSigned:
		v.bad(path+".storage", "redis is for mode %s; write a directory (./redis for one of this name)", TLSACME)
	case len(v.cfg.Dedup.Redis.Addresses) == 0:
		v.bad(path+".storage", "redis is where dedup.redis says; write dedup.redis.addresses, or a directory here")
	}
}

func (v *validator) acme(path string, t *TLS) {
	if len(t.Domains) == 0 {
		v.bad(path+".domains", "is missing; write for example [powerjob.example.com]")
	}
	v.hosts(path+".domains", t.Domains)
	for i, name := range t.Domains {
		if strings.HasPrefix(name, "*") {
			v.bad(index(path+".domains", i), "%q needs a DNS challenge, which is not supported; write the names out", name)
		}
	}
	if t.Email != "" {
		if a, err := mail.ParseAddress(t.Email); err != nil || a.Address != t.Email {
			v.bad(path+".email", "%q is not an e-mail address", t.Email)
		}
	}
	if u, err := url.Parse(t.CA); t.CA != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		v.bad(path+".ca", "%q is not an https URL; write the ACME directory's", t.CA)
	}
	if len(t.Challenges) == 0 {
		v.bad(path+".challenges", "is empty; write http-01, tls-alpn-01 or both")
	}
	v.distinct(path+".challenges", t.Challenges)
}
