package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"pgregory.net/rapid"
)

var at = time.Date(2026, 11, 28, 14, 5, 9, 123456789, time.UTC)

func requestFields(path string) []zap.Field {
	return []zap.Field{
		zap.String("request_id", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), zap.String("route", "default"), zap.String("call", "saveJob"),
		zap.String("method", "POST"), zap.String("path", path), zap.Int("status", 200),
		zap.Int64("bytes_in", 512), zap.Int64("bytes_out", 64), zap.Float64("duration_seconds", 0.0123456),
		zap.String("client", "10.0.0.7"), zap.String("decision", "replayed"), zap.String("upstream", "default"),
		zap.String("upstream_server", "10.0.0.1:7700"), zap.Float64("upstream_duration_seconds", 0.01),
	}
}

func encodeJSON(fields ...zap.Field) string {
	return string(appendJSON(nil, zapcore.Entry{Level: zapcore.WarnLevel, Time: at, Message: "m"}, fields))
}

func encodeConsole(message string, fields ...zap.Field) string {
	return string(appendConsole(nil, zapcore.Entry{Level: zapcore.WarnLevel, Time: at, Message: message}, fields))
}

// zapJSON returns the same entry as zap's own encoder writes it.
func zapJSON(t testing.TB, fields []zap.Field) string {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	var buf *buffer.Buffer
	buf, err := zapcore.NewJSONEncoder(cfg).EncodeEntry(zapcore.Entry{Level: zapcore.WarnLevel, Time: at, Message: "m"}, fields)
	if err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestEveryKindOfFieldIsWrittenAsZapWritesIt(t *testing.T) {
	for _, f := range []zap.Field{
		zap.String("k", "text"), zap.ByteString("k", []byte("bytes")), zap.Binary("k", []byte{0, 1}), zap.Bool("k", true),
		zap.Int("k", -1), zap.Int8("k", -8), zap.Int16("k", -16), zap.Int32("k", -32), zap.Int64("k", math.MinInt64),
		zap.Uint("k", 1), zap.Uint8("k", 8), zap.Uint16("k", 16), zap.Uint32("k", 32), zap.Uint64("k", math.MaxUint64), zap.Uintptr("k", 7),
		zap.Float64("k", 0.1), zap.Float64("k", math.NaN()), zap.Float32("k", 0.5), zap.Duration("k", 1500*time.Millisecond), zap.Time("k", at),
		zap.Error(errors.New("broken")), zap.Error(nil), zap.Stringer("k", netip.MustParseAddr("::1")), zap.Strings("k", []string{"a", "b"}),
		zap.Any("k", map[string][]string{"a": {"b"}}), zap.Any("k", nil), zap.Errors("k", []error{errors.New("a")}), zap.Skip(),
		zap.Dict("k", zap.String("a", "b")), zap.Inline(zapcore.ObjectMarshalerFunc(func(e zapcore.ObjectEncoder) error { e.AddString("a", "b"); return nil })),
	} {
		if got, want := encodeJSON(f, zap.Int("next", 1)), zapJSON(t, []zap.Field{f, zap.Int("next", 1)}); got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
	nested := []zap.Field{zap.Namespace("n"), zap.String("a", "b"), zap.Namespace("o"), zap.Int("c", 1)}
	if got, want := encodeJSON(nested...), zapJSON(t, nested); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if got := encodeJSON(zap.Complex128("k", 1+2i), zap.Complex64("l", 1)); !strings.Contains(got, `"k":"(1+2i)","l":"(1+0i)"`) {
		t.Errorf("got %s", got)
	}
	if got := encodeJSON(zap.Reflect("k", func() {})); !json.Valid([]byte(got)) {
		t.Errorf("got %s", got)
	}
}

func TestAnyTextIsOneLineOfJSONThatSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "text"))
		got := encodeJSON(zap.String("k", text))
		var line struct{ K string }
		if err := json.Unmarshal([]byte(got), &line); err != nil || strings.Count(got, "\n") != 1 {
			t.Fatalf("%q: %v", got, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); strings.ToValidUTF8(line.K, "") != line.K || len(want) > 0 && !sameText(line.K, text) {
			t.Fatalf("%q became %q", text, line.K)
		}
	})
}

// sameText compares rune by rune; each invalid byte equals one U+FFFD.
func sameText(got, raw string) bool { return reflect.DeepEqual([]rune(got), []rune(raw)) }

func TestLinesHaveABoundedLength(t *testing.T) {
	long := strings.Repeat("ü", 30_000)
	got := encodeJSON(requestFields("/" + long)...)
	if len(got) > 2*MaxValue || !strings.Contains(got, `… (60001 bytes)"`) || !json.Valid([]byte(got)) {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	var many []zap.Field
	for i := range 100 {
		many = append(many, zap.String(fmt.Sprint("k", i), long))
	}
	list := make([]string, 1000)
	for i := range list {
		list[i] = "a problem of the configuration"
	}
	for name, fields := range map[string][]zap.Field{
		"many fields":    many,
		"a long list":    {zap.Strings("problems", list)},
		"a long key":     {zap.Int(long, 1)},
		"a namespace":    append([]zap.Field{zap.Namespace("n")}, many...),
		"control bytes":  {zap.String("k", strings.Repeat("\x00", 60_000)), zap.String("l", strings.Repeat("\x00", 60_000))},
		"a long stack":   {zap.String("stack", long), zap.Strings("problems", list)},
		"an inline list": {zap.Inline(zapcore.ObjectMarshalerFunc(func(e zapcore.ObjectEncoder) error { e.AddString("a", long); return nil }))},
	} {
		got := encodeJSON(fields...)
		if len(got) > MaxLine+8*MaxValue || !json.Valid([]byte(got)) {
			t.Errorf("%s: %d bytes: %.300s", name, len(got), got)
		}
	}
	if got := encodeJSON(many...); !strings.Contains(got, `"cut":true`) {
		t.Errorf("the line does not say that it was cut: %.300s", got)
	}
}

func TestTheConsoleShowsARequestInOneLine(t *testing.T) {
	got := encodeConsole("request", requestFields("/openApi/saveJob")...)
	const want = "2026-11-28 14:05:09.123 replayed  200 12.3ms POST /openApi/saveJob client=10.0.0.7 upstream_server=10.0.0.1:7700 upstream_duration=10ms bytes_in=512 bytes_out=…\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	long := encodeConsole("request", requestFields("/\x1b[31m"+strings.Repeat("漢", 30_000))...)
	if n := width(long); n > maxColumns+1 || strings.Count(long, "\n") != 1 || strings.Contains(long, "\x1b") || !strings.Contains(long, " client=10.0.0.7") {
		t.Errorf("%d columns: %q", n, long)
	}
	if got := encodeConsole("request", zap.Int("status", 404), zap.Float64("duration_seconds", 0.0000012), zap.String("method", "GET"), zap.String("path", "/")); !strings.Contains(got, " -         404 1.2µs GET /\n") {
		t.Errorf("got %q", got)
	}
}

func width(line string) int { return utf8.RuneCountInString(line) }

func TestTheConsoleBreaksLongEntries(t *testing.T) {
	got := encodeConsole("started", zap.String("text", strings.Repeat("word ", 100)), zap.String("solid", strings.Repeat("x", 400)),
		zap.Duration("grace", 20*time.Second), zap.String("stack", "main.main()\n\tmain.go:1"), zap.String("empty", ""))
	if !strings.HasPrefix(got, "2026-11-28 14:05:09.123 WARN  started text=") {
		t.Errorf("got %q", got)
	}
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if width(line) > maxColumns || i > 0 && !strings.HasPrefix(line, "    ") {
			t.Errorf("line %d: %q", i, line)
		}
	}
	for _, part := range []string{"grace=20s", "stack=main.main()\n", `empty=""`} {
		if !strings.Contains(got, part) {
			t.Errorf("%q lacks %q", got, part)
		}
	}
	if n := strings.Count(got, "word"); n != 100 {
		t.Errorf("%d words of 100 are left", n)
	}
}

func FuzzConsole(f *testing.F) {
	f.Add("request", "/a b\n\x1b[0m", "漢字")
	f.Fuzz(func(t *testing.T, message, path, text string) {
		got := appendConsole([]byte("before\n"), zapcore.Entry{Time: at, Message: message}, append(requestFields(path), zap.String("text", text)))
		for line := range bytes.SplitSeq(bytes.TrimSuffix(got, []byte{'\n'}), []byte{'\n'}) {
			if n := utf8.RuneCount(line); n > maxColumns || !utf8.Valid(line) {
				t.Fatalf("%d columns: %q", n, line)
			}
		}
	})
}
