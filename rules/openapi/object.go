package openapi

import "bytes"

// field returns the raw value of a top-level field of a JSON object, the last
// one where the name repeats, as Jackson takes it. encoding/json is not used
// because it would match "ID" for "id", where the server does not.
//
// ok is false, and value nil, where this plain reader cannot follow object to its end as
// a JSON object; then the caller must take every field as unknown. Values are only
// skipped, not checked: a server that is stricter refuses the call by itself.
func field(object []byte, name string) (value []byte, ok bool) {
	ok = fields(object, func(key, v []byte) {
		if string(key) == name {
			value = v
		}
	})
	if !ok {
		return nil, false
	}
	return value, true
}

// fields calls each for every top-level field of a JSON object, and reports
// whether the whole input was one. A name with an escape in it ends the walk.
func fields(object []byte, each func(name, value []byte)) bool {
	s := scanner{rest: object}
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return s.atEnd()
	}
	for {
		key, ok := s.str()
		if !ok || bytes.IndexByte(key, '\\') >= 0 || !s.take(':') {
			return false
		}
		v, ok := s.value()
		if !ok {
			return false
		}
		each(key[1:len(key)-1], v)
		if s.take('}') {
			return s.atEnd()
		}
		if !s.take(',') {
			return false
		}
	}
}

// elements calls each for every element of a JSON array and reports whether
// the whole input was one.
func elements(array []byte, each func([]byte) bool) bool {
	s := scanner{rest: array}
	if !s.take('[') {
		return false
	}
	if s.take(']') {
		return s.atEnd()
	}
	for {
		v, ok := s.value()
		if !ok || !each(v) {
			return false
		}
		if s.take(']') {
			return s.atEnd()
		}
		if !s.take(',') {
			return false
		}
	}
}

// scanner walks over JSON text without building anything from it.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	i := 0
	for i < len(s.rest) && (s.rest[i] == ' ' || s.rest[i] == '\n' || s.rest[i] == '\r' || s.rest[i] == '\t') {
		i++
	}
	s.rest = s.rest[i:]
}

func (s *scanner) take(c byte) bool {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) atEnd() bool {
	s.space()
	return len(s.rest) == 0
}

// str takes a string with its quotes, escapes left as they are.
func (s *scanner) str() ([]byte, bool) {
	s.space()
	if len(s.rest) == 0 || s.rest[0] != '"' {
		return nil, false
	}
	i := 1
	if end := bytes.IndexByte(s.rest[1:], '"'); end >= 0 && bytes.IndexByte(s.rest[1:1+end], '\\') < 0 {
		i += end // no escapes, as nearly always: found without looking at each byte
	}
	for ; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			v := s.rest[:i+1]
			s.rest = s.rest[i+1:]
			return v, true
		}
	}
	return nil, false
}

// endsPlain are the bytes that end a number, true, false or null.
var endsPlain = [256]bool{',': true, ':': true, '{': true, '}': true, '[': true, ']': true, '"': true, ' ': true, '\n': true, '\r': true, '\t': true}

// value takes any value. Brackets are counted, not paired by kind: text that is not
// JSON may pass here, but no server accepts it.
func (s *scanner) value() ([]byte, bool) { //nolint:gocognit // one case a kind of JSON value
	s.space()
	whole := s.rest
	depth := 0
	for {
		s.space()
		if len(s.rest) == 0 {
			return nil, false
		}
		switch c := s.rest[0]; c {
		case '"':
			if _, ok := s.str(); !ok {
				return nil, false
			}
		case '{', '[':
			depth++
			s.rest = s.rest[1:]
		case '}', ']':
			depth--
			s.rest = s.rest[1:]
		case ',', ':':
			if depth == 0 {
				return nil, false
			}
			s.rest = s.rest[1:]
		default:
			n := 1
			for n < len(s.rest) && !endsPlain[s.rest[n]] {
				n++
			}
			s.rest = s.rest[n:]
		}
		if depth < 0 {
			return nil, false
		}
		if depth == 0 {
			return whole[:len(whole)-len(s.rest)], true
		}
	}
}
