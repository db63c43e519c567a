package archive

import (
	"encoding/binary"
	"iter"
	"slices"
)

// Header is the fields of an answer's header in one string, which takes little
// room and can be compared: most answers of a server have equal
// headers, and those are kept once. "" has no fields. It never changes.
//
// Every name and every value follows its length, a varint.
type Header string

// PackHeader packs the fields that keep selects by name, sorted by name. Each value of
// a name is a field of its own; they keep their order.
func PackHeader(fields map[string][]string, keep func(name string) bool) Header {
	var room [24]string // on the stack: one string is all that this allocates
	names := room[:0]
	for name := range fields {
		if keep(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	b := make([]byte, 0, 512)
	for _, name := range names {
		for _, value := range fields[name] {
			b = appendText(appendText(b, name), value)
		}
	}
	return Header(b)
}

// All yields name and value of each field. Of a Header that is not Valid it
// yields the fields before the fault.
func (h Header) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := string(h); rest != ""; {
			var name, value string
			var ok bool
			if name, rest, ok = cutText(rest); !ok {
				return
			}
			if value, rest, ok = cutText(rest); !ok || !yield(name, value) {
				return
			}
		}
	}
}

// Get returns the first value of a name, in the case in which it was packed; ""
// where there is none.
func (h Header) Get(name string) string {
	for n, value := range h.All() {
		if n == name {
			return value
		}
	}
	return ""
}

// Valid reports whether h is in the form that PackHeader makes. A Header from
// elsewhere may be anything.
func (h Header) Valid() bool {
	for rest := string(h); rest != ""; {
		name, after, ok := cutText(rest)
		if !ok || name == "" {
			return false
		}
		if _, rest, ok = cutText(after); !ok {
			return false
		}
	}
	return true
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutText takes one text and its length off the front of s.
func cutText(s string) (text, rest string, ok bool) {
	var length uint64
	for i := 0; i < len(s) && i < 4; i++ { // four bytes are enough for any header's length
		length |= uint64(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			rest = s[i+1:]
			if length > uint64(len(rest)) {
				return "", "", false
			}
			return rest[:length], rest[length:], true
		}
	}
	return "", "", false
}
