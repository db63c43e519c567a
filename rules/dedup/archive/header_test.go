package archive

import (
	"slices"
	"strings"
	"testing"
)

func TestAHeaderIsReadAsItWasPacked(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	h := PackHeader(map[string][]string{
		"Vary": {"Origin", "Accept"}, "Content-Type": {"application/json"}, "X-Empty": {""}, "X-Long": {long}, "Date": {"now"},
	}, func(name string) bool { return name != "Date" })
	var got []string
	for name, value := range h.All() {
		got = append(got, name+": "+value)
	}
	want := []string{"Content-Type: application/json", "Vary: Origin", "Vary: Accept", "X-Empty: ", "X-Long: " + long}
	if !slices.Equal(got, want) {
		t.Errorf("got %.200q, want %.200q", got, want)
	}
	if !h.Valid() || h.Get("Vary") != "Origin" || h.Get("vary") != "" {
		t.Error("it is not valid, or Get finds something else")
	}
	ends := map[int]bool{0: true, 30: true, 42: true, 54: true} // of the first fields
	for n := range 54 {
		if part := h[:n]; part.Valid() != ends[n] {
			t.Errorf("that %q is valid: %v", part, part.Valid())
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("\x04Vary\x06Origin")
	f.Add("\x80\x80\x80\x80\x01")
	f.Fuzz(func(t *testing.T, s string) {
		h, fields := Header(s), map[string][]string{}
		for name, value := range h.All() {
			fields[name] = append(fields[name], value)
		}
		if again := PackHeader(fields, func(string) bool { return true }); h.Valid() && !again.Valid() {
			t.Errorf("%q packs to %q", s, again)
		}
	})
}
