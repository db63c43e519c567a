// Package head reads heads that are plain (see ReadPlain and ReadAnswer), and writes
// status lines and fields, as net/http does, with less work. It lends the buffers that
// they are written to.
package head

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
)

// most is how many fields are sorted without taking memory.
const most = 32

// Write appends the fields of h to a head, but for those that skip names; nil: all
// are written. It writes what [http.Header.WriteSubset] does: sorted by name, what
// is no field's name left out, values trimmed, and their line breaks made spaces.
func Write(to *bytes.Buffer, h http.Header, skip func(name string) bool) {
	type field struct {
		name   string
		values []string
	}
	var room [most]field
	fields := room[:0]
	for name, values := range h {
		if skip != nil && skip(name) {
			continue
		}
		if _, ok := fieldName(name); !ok {
			continue
		}
		i := len(fields)
		for fields = append(fields, field{}); i > 0 && name < fields[i-1].name; i-- { // they are few
			fields[i] = fields[i-1]
		}
		fields[i] = field{name, values}
	}
	for _, f := range fields {
		for _, value := range f.values {
			Field(to, f.name, value)
		}
	}
}

// Field appends one field to a head.
func Field(to *bytes.Buffer, name, value string) {
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = strings.NewReplacer("\n", " ", "\r", " ").Replace(value)
	}
	to.WriteString(name)
	to.WriteString(": ")
	to.WriteString(trim(value))
	to.WriteString("\r\n")
}

// maxKept keeps a few large heads and bodies from holding memory for ever, in bytes.
const maxKept = 64 << 10

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Borrow returns an empty buffer for a head and what goes out with it. Return
// should follow.
func Borrow() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

// Return takes a buffer back. Nobody may use it, or its bytes, after that.
func Return(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		buffers.Put(b)
	}
}
