package redislog

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"sync"

	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/archive"
)

// The forms in which the log has an answer's body.
const (
	noAnswer   = 0
	bodyAsItIs = 1
	bodyFlate  = 2
)

const (
	// compressFrom is the size in bytes from which compressing a body is tried.
	// PowerJob's answers to changing calls have some 60 bytes.
	compressFrom = 256
	// maxBody bounds what an entry may decompress to: configurations keep
	// answers of 256 KiB, and an entry may have been made by anyone.
	maxBody = 64 << 20
)

// appendAnswer appends an answer; nil: there is none.
func appendAnswer(b []byte, a *dedup.Answer) []byte {
	if a == nil {
		return append(b, noAnswer)
	}
	form, body := byte(bodyAsItIs), a.Body
	if len(a.Body) >= compressFrom {
		if small := compress(a.Body); len(small) < len(a.Body) {
			form, body = bodyFlate, small
		}
	}
	b = append(b, form)
	b = binary.AppendUvarint(b, uint64(a.Status))
	b = appendString(b, string(a.Header))
	b = appendString(b, a.Auth)
	b = binary.AppendUvarint(b, uint64(len(a.Body)))
	b = binary.AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

func (r *reader) answer() *dedup.Answer {
	form := r.byte()
	if form == noAnswer {
		return nil
	}
	a := &dedup.Answer{Status: int(r.uvarint())}
	a.Header = archive.Header(r.bytes(r.length()))
	a.Auth = string(r.bytes(r.length()))
	size := r.uvarint()
	body := r.bytes(r.length())
	switch {
	case r.bad || a.Status < 200 || a.Status > 999 || !a.Header.Valid() || size > maxBody:
	case form == bodyAsItIs && size == uint64(len(body)):
		a.Body = bytes.Clone(body)
		return a
	case form == bodyFlate:
		var ok bool
		if a.Body, ok = decompress(body, int64(size)); ok {
			return a
		}
	}
	r.bad = true
	return nil
}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails on wrong levels only
	return w
}}

func compress(body []byte) []byte {
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	_, _ = w.Write(body) // a Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// decompress reads exactly size bytes.
func decompress(body []byte, size int64) ([]byte, bool) {
	r := flate.NewReader(bytes.NewReader(body))
	out, err := io.ReadAll(io.LimitReader(r, size+1))
	return out, err == nil && int64(len(out)) == size
}
