package logging

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"
)

// The console format is for people. A request is one line, with the most important
// fields first; what does not fit is cut off:
//
//	2026-11-28 14:05:09.123 replayed  200 1.2ms POST /openApi/saveJob client=10.0.0.7 upstream_server=…
//
// Other entries have their level in place of the decision. Long ones continue in
// further lines, indented.

// maxColumns is the width of a line.
const maxColumns = 160

// requestNext are the fields that follow decision, status, time, method and path in a
// request's line. Other fields come after them, sorted.
var requestNext = []string{"error", "reason", "gate", "gate_reason", "client", "upstream_server", "upstream_duration_seconds", "bytes_in", "bytes_out", "request_id"}

// appendConsole appends an entry in the console format.
func appendConsole(dst []byte, entry zapcore.Entry, fields []zapcore.Field) []byte {
	text := entry.Time.Format("2006-01-02 15:04:05.000 ")
	if values := requestValues(entry, fields); values != nil {
		return append(append(dst, cutColumns(text+requestText(values), maxColumns)...), '\n')
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%-5s ", text, entry.Level.CapitalString())
	if entry.LoggerName != "" {
		b.WriteString(entry.LoggerName + ": ")
	}
	b.WriteString(printable(entry.Message, MaxValue))
	for _, f := range fields {
		m := zapcore.NewMapObjectEncoder()
		f.AddTo(m)
		for _, key := range slices.Sorted(maps.Keys(m.Fields)) {
			b.WriteString(" " + pair(key, m.Fields[key]))
		}
	}
	if entry.Stack != "" {
		b.WriteString(" " + pair("stack", entry.Stack))
	}
	return appendWrapped(dst, cut(b.String(), MaxLine))
}

// requestValues returns a request's fields. Nil: the entry is not about a request.
func requestValues(entry zapcore.Entry, fields []zapcore.Field) map[string]any {
	if entry.Message != "request" {
		return nil
	}
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	if _, ok := m.Fields["status"]; !ok {
		return nil
	}
	return m.Fields
}

func requestText(values map[string]any) string {
	value := func(key string) string {
		_, text := keyText(key, values[key])
		delete(values, key)
		return text
	}
	decision := "-" // not under a dedup rule
	if _, ok := values["decision"]; ok {
		decision = value("decision")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %s %s %s %s", decision, value("status"), value("duration_seconds"),
		cutColumns(value("method"), 16), cutColumns(value("path"), 64))
	for _, key := range requestNext {
		if v, ok := values[key]; ok {
			b.WriteString(" " + pair(key, v))
			delete(values, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(" " + pair(key, values[key]))
	}
	return b.String()
}

// pair returns a field as key=value.
func pair(key string, value any) string {
	key, text := keyText(key, value)
	if text == "" || strings.ContainsAny(text, " =\"") && key != "stack" {
		text = `"` + strings.ReplaceAll(text, `"`, `'`) + `"`
	}
	return key + "=" + text
}

// keyText returns a field's key and value for people: durations have units.
func keyText(key string, value any) (string, string) {
	if seconds, ok := value.(float64); ok && strings.HasSuffix(key, "_seconds") {
		key, value = strings.TrimSuffix(key, "_seconds"), time.Duration(seconds*float64(time.Second))
	}
	switch v := value.(type) {
	case nil:
		return key, "-"
	case time.Duration:
		return key, short(v).String()
	case time.Time:
		return key, v.Format("2006-01-02 15:04:05")
	default:
		return key, printable(fmt.Sprint(v), maxValueOf(key))
	}
}

// short rounds d to three digits.
func short(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Minute; unit *= 10 {
		if d.Abs() < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}

// printable replaces what would move a terminal's cursor, and cuts text at bound
// bytes. Line breaks stay, for appendWrapped.
func printable(text string, bound int) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		if r == '\t' {
			return ' '
		}
		return '?'
	}, cut(text, bound))
}

// columns returns how many columns of a terminal r needs: two for East Asian
// characters.
func columns(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}

// cutColumns returns text on one line of at most width columns.
func cutColumns(text string, width int) string {
	text = strings.ReplaceAll(text, "\n", " ")
	used, fits := 0, 0
	for i, r := range text {
		used += columns(r)
		if used <= width-1 {
			fits = i + utf8.RuneLen(r)
		}
	}
	if used <= width {
		return text
	}
	return text[:fits] + "…"
}

// appendWrapped appends text in lines of at most maxColumns, broken at spaces if
// there are any. The second and later lines are indented.
func appendWrapped(dst []byte, text string) []byte {
	const indent = "    "
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			line = indent + line
		}
		for {
			head, tail := breakLine(line)
			dst = append(append(dst, head...), '\n')
			if tail == "" {
				break
			}
			line = indent + tail
		}
	}
	return dst
}

// breakLine returns the part of line that fits into maxColumns, and the rest.
func breakLine(line string) (head, tail string) {
	used, space := 0, 0
	for i, r := range line {
		if used += columns(r); used > maxColumns {
			if space == 0 {
				space = i
			}
			return line[:space], strings.TrimLeft(line[space:], " ")
		}
		if r == ' ' && i > maxColumns/2 {
			space = i
		}
	}
	return line, ""
}
