package hosts

import (
	"slices"
	"testing"
)

func TestBareNames(t *testing.T) {
	for header, want := range map[string]string{
		"shim.test": "shim.test", "Shim.TEST:7700": "shim.test", "shim.test.": "shim.test", "shim.test.:80": "shim.test",
		"[::1]": "::1", "[::1]:7700": "::1", "10.0.0.1:80": "10.0.0.1", "": "", ":80": "",
	} {
		if got := Bare(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// What a table finds for a name is what Covers says of each of its patterns, and in
// the right order.
func TestATableFindsWhatCovers(t *testing.T) {
	patterns := []string{"a.b.test", "*.b.test", "*.a.b.test", "*.test", "B.Test", ""}
	var many, one Table[string]
	one.OneLabel = true
	for _, p := range patterns {
		many.Set(p, p)
		one.Set(p, p)
		if got := many.Get(p); got != p {
			t.Errorf("%q has %q", p, got)
		}
	}
	for name, want := range map[string]struct{ many, one []string }{
		"a.b.test":     {[]string{"a.b.test", "*.b.test", "*.test", ""}, []string{"a.b.test", "*.b.test", ""}},
		"x.a.b.test":   {[]string{"*.a.b.test", "*.b.test", "*.test", ""}, []string{"*.a.b.test", ""}},
		"y.x.a.b.test": {[]string{"*.a.b.test", "*.b.test", "*.test", ""}, []string{""}},
		"b.test":       {[]string{"B.Test", "*.test", ""}, []string{"B.Test", "*.test", ""}},
		"test":         {[]string{""}, []string{""}},
		"":             {[]string{""}, []string{""}},
		"other":        {[]string{""}, []string{""}},
	} {
		found := func(table *Table[string]) (all []string) {
			table.Each(name, func(p string) bool { all = append(all, p); return true })
			return all
		}
		if got := found(&many); !slices.Equal(got, want.many) {
			t.Errorf("%q: %q, want %q", name, got, want.many)
		}
		if got := found(&one); !slices.Equal(got, want.one) {
			t.Errorf("%q with one label: %q, want %q", name, got, want.one)
		}
		for _, p := range patterns {
			if Covers(p, name) != slices.Contains(want.many, p) {
				t.Errorf("%q covers %q: %t", p, name, Covers(p, name))
			}
		}
	}
	many.Each("a.b.test", func(p string) bool {
		if p != "a.b.test" {
			t.Errorf("it goes on to %q", p)
		}
		return false
	})
	n := 0
	many.All(func(string) { n++ })
	if n != len(patterns) {
		t.Errorf("%d values of %d patterns", n, len(patterns))
	}
}
