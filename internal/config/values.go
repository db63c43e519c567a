package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written "512B", "256KiB", "64MiB" or "1GiB".
type Size int64

// Rate is a number of bytes a second, written "100B/s" or "1KiB/s"; "100B" means the same.
type Rate int64

// String writes the largest unit that leaves no remainder.
func (r Rate) String() string {
	if r == 0 {
		return "0"
	}
	return Size(r).String() + "/s"
}

func parseRate(text string) (Rate, error) {
	size, err := parseSize(strings.TrimSuffix(text, "/s"))
	if err != nil {
		return 0, fmt.Errorf("%q is not a rate; write for example 100B/s or 1KiB/s", text)
	}
	return Rate(size), nil
}

// OneOrMore is a list of strings that may be written as a single string.
type OneOrMore []string

// Secret is a string that is printed as "***". Convert it with string(s) to use it.
type Secret string

const redacted = "***"

// String returns "***", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString is for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText is for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String writes the largest unit that leaves no remainder.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0"
}

func parseSize(text string) (Size, error) {
	if text == "0" {
		return 0, nil
	}
	digits := strings.TrimRightFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; write for example 64MiB", text)
	}
	unit := text[len(digits):]
	if unit == "" {
		return 0, fmt.Errorf("%q has no unit; write %[1]sKiB or %[1]sMiB", text)
	}
	for _, u := range sizeUnits {
		if unit == u.name {
			if n > math.MaxInt64/u.bytes || n < math.MinInt64/u.bytes {
				return 0, fmt.Errorf("%q is too large", text)
			}
			return Size(n * u.bytes), nil
		}
	}
	return 0, fmt.Errorf("%q has an unknown unit; the units are B, KiB, MiB and GiB", text)
}

func parseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit; write %[1]ss or 500ms", text)
	}
	return 0, fmt.Errorf("%q is not a duration; write for example 5s, 500ms or 1h30m", text)
}

// formatDuration writes 168h instead of 168h0m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
