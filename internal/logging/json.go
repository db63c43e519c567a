package logging

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

// lineBuffers holds *[]byte. A line is encoded before the queue's lock is taken,
// because values may run code of their own.
var lineBuffers = sync.Pool{New: func() any { room := make([]byte, 0, 1024); return &room }}

var jsonLines = sync.Pool{New: func() any { return new(jsonLine) }}

// appendJSON appends an entry as one line of JSON.
func appendJSON(dst []byte, entry zapcore.Entry, fields []zapcore.Field) []byte {
	l := jsonLines.Get().(*jsonLine)
	defer jsonLines.Put(l)
	l.start, l.buf, l.open = len(dst), append(dst, '{'), 0
	l.AddString("level", entry.Level.String())
	l.AddTime("ts", entry.Time)
	if entry.LoggerName != "" {
		l.AddString("logger", entry.LoggerName)
	}
	l.AddString("msg", entry.Message)
	left := fields
	for len(left) > 0 && !l.full() {
		left[0].AddTo(l)
		left = left[1:]
	}
	for range l.open {
		l.buf = append(l.buf, '}')
	}
	if entry.Stack != "" && !l.full() {
		l.AddString("stack", entry.Stack)
	}
	if len(left) > 0 {
		l.AddBool("cut", true)
	}
	line := append(l.buf, '}', '\n')
	l.buf = nil
	return line
}

// jsonLine is a zapcore.ObjectEncoder that appends to a line without reflection. For
// arrays, objects and other types it uses zap's map encoder and encoding/json.
type jsonLine struct {
	buf   []byte
	start int // index of the line in buf
	open  int // namespaces that are still open
}

// full reports whether there is no room for another field.
func (l *jsonLine) full() bool { return len(l.buf)-l.start > MaxLine-8*MaxValue-256 }

func (l *jsonLine) key(key string) {
	if last := l.buf[len(l.buf)-1]; last != '{' {
		l.buf = append(l.buf, ',')
	}
	l.buf = append(l.buf, '"')
	l.buf = appendEscaped(l.buf, cut(key, 128))
	l.buf = append(l.buf, '"', ':')
}

// AddString implements zapcore.ObjectEncoder.
func (l *jsonLine) AddString(key, value string) {
	l.key(key)
	l.buf = append(l.buf, '"')
	l.buf = appendEscaped(l.buf, cut(value, maxValueOf(key)))
	l.buf = append(l.buf, '"')
}

// AddByteString implements zapcore.ObjectEncoder.
func (l *jsonLine) AddByteString(key string, value []byte) { l.AddString(key, string(value)) }

// AddBool implements zapcore.ObjectEncoder.
func (l *jsonLine) AddBool(key string, value bool) {
	l.key(key)
	l.buf = strconv.AppendBool(l.buf, value)
}

// AddInt64 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddInt64(key string, value int64) {
	l.key(key)
	l.buf = strconv.AppendInt(l.buf, value, 10)
}

// AddUint64 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddUint64(key string, value uint64) {
	l.key(key)
	l.buf = strconv.AppendUint(l.buf, value, 10)
}

// AddFloat64 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddFloat64(key string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) { // JSON has no number for it
		l.AddString(key, strconv.FormatFloat(value, 'g', -1, 64))
		return
	}
	l.key(key)
	l.buf = strconv.AppendFloat(l.buf, value, 'f', -1, 64)
}

// AddDuration implements zapcore.ObjectEncoder: seconds.
func (l *jsonLine) AddDuration(key string, value time.Duration) { l.AddFloat64(key, value.Seconds()) }

// AddTime implements zapcore.ObjectEncoder.
func (l *jsonLine) AddTime(key string, value time.Time) {
	l.key(key)
	l.buf = append(l.buf, '"')
	l.buf = value.AppendFormat(l.buf, time.RFC3339Nano)
	l.buf = append(l.buf, '"')
}

// OpenNamespace implements zapcore.ObjectEncoder.
func (l *jsonLine) OpenNamespace(key string) {
	l.key(key)
	l.buf = append(l.buf, '{')
	l.open++
}

// AddReflected implements zapcore.ObjectEncoder.
func (l *jsonLine) AddReflected(key string, value any) error {
	text, err := json.Marshal(value)
	switch {
	case err != nil:
		l.AddString(key, fmt.Sprintf("%+v", value))
	case len(text) > 8*MaxValue: // it becomes a string, because half a list is not JSON
		l.key(key)
		l.buf = append(l.buf, '"')
		l.buf = appendEscaped(l.buf, cut(string(text), 4*MaxValue))
		l.buf = append(l.buf, '"')
	default:
		l.key(key)
		l.buf = append(l.buf, text...)
	}
	return nil
}

// AddArray implements zapcore.ObjectEncoder.
func (l *jsonLine) AddArray(key string, value zapcore.ArrayMarshaler) error {
	return l.addMapped(key, func(m *zapcore.MapObjectEncoder) error { return m.AddArray(key, value) })
}

// AddObject implements zapcore.ObjectEncoder.
func (l *jsonLine) AddObject(key string, value zapcore.ObjectMarshaler) error {
	return l.addMapped(key, func(m *zapcore.MapObjectEncoder) error { return m.AddObject(key, value) })
}

func (l *jsonLine) addMapped(key string, add func(*zapcore.MapObjectEncoder) error) error {
	m := zapcore.NewMapObjectEncoder()
	err := add(m)
	if reflected := l.AddReflected(key, m.Fields[key]); err == nil {
		err = reflected
	}
	return err
}

// AddBinary implements zapcore.ObjectEncoder.
func (l *jsonLine) AddBinary(key string, value []byte) { _ = l.AddReflected(key, value) } // base64; cannot fail

// AddComplex128 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddComplex128(key string, value complex128) {
	l.AddString(key, strconv.FormatComplex(value, 'g', -1, 128))
}

// AddComplex64 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddComplex64(key string, value complex64) { l.AddComplex128(key, complex128(value)) }

// AddFloat32 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddFloat32(key string, value float32) { l.AddFloat64(key, float64(value)) }

// AddInt implements zapcore.ObjectEncoder.
func (l *jsonLine) AddInt(key string, value int) { l.AddInt64(key, int64(value)) }

// AddInt32 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddInt32(key string, value int32) { l.AddInt64(key, int64(value)) }

// AddInt16 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddInt16(key string, value int16) { l.AddInt64(key, int64(value)) }

// AddInt8 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddInt8(key string, value int8) { l.AddInt64(key, int64(value)) }

// AddUint implements zapcore.ObjectEncoder.
func (l *jsonLine) AddUint(key string, value uint) { l.AddUint64(key, uint64(value)) }

// AddUint32 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddUint32(key string, value uint32) { l.AddUint64(key, uint64(value)) }

// AddUint16 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddUint16(key string, value uint16) { l.AddUint64(key, uint64(value)) }

// AddUint8 implements zapcore.ObjectEncoder.
func (l *jsonLine) AddUint8(key string, value uint8) { l.AddUint64(key, uint64(value)) }

// AddUintptr implements zapcore.ObjectEncoder.
func (l *jsonLine) AddUintptr(key string, value uintptr) { l.AddUint64(key, uint64(value)) }

// maxValueOf returns how many bytes of a key's value are logged at most.
func maxValueOf(key string) int {
	if key == "stack" {
		return 8 * MaxValue
	}
	return MaxValue
}

// cut returns text or, if it has more than bound bytes, its beginning and its length.
func cut(text string, bound int) string {
	if len(text) <= bound {
		return text
	}
	end := bound
	for end > bound-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "… (" + strconv.Itoa(len(text)) + " bytes)"
}

// appendEscaped appends text, escaped as in a JSON string.
func appendEscaped(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	begin := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(text[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, text[begin:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c >= utf8.RuneSelf:
			dst = append(dst, `\ufffd`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i += size
		begin = i
	}
	return append(dst, text[begin:]...)
}
