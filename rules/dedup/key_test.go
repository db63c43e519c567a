package dedup

import (
	"encoding/hex"
	"testing"
)

func TestTheKeyStaysWhatItIs(t *testing.T) {
	parts := KeyParts{
		Group: "default", Method: "POST", Path: "/openApi/saveJob", RawQuery: "a=b",
		ContentType: "application/json", App: "1", Origin: "https://a.example", Body: []byte(`{"id":1}`),
	}
	key := parts.Key()
	// Replicas of two releases share a store: a key changes together with keyVersion only.
	const want = "c89295b440493e58dc9cab4e7f1aab54ec70b50610a7a973116e3e2536a5635c"
	if got := hex.EncodeToString(key[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEveryPartIsInTheKey(t *testing.T) {
	seen := map[Key]string{}
	for name, parts := range map[string]KeyParts{
		"nothing": {}, "group": {Group: "x"}, "method": {Method: "x"}, "path": {Path: "x"}, "query": {RawQuery: "x"},
		"content type": {ContentType: "x"}, "app": {App: "x"}, "origin": {Origin: "x"}, "body": {Body: []byte("x")},
	} {
		key := parts.Key()
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have the same key", name, other)
		}
		seen[key] = name
	}
}

func FuzzKey(f *testing.F) {
	f.Add("g", "POST", "/openApi/saveJob", "a=b", "application/json", "1", "https://a.example", []byte("{}"), "g", "POST", "/openApi/saveJob", "a=b", "application/json", "1", "", []byte("{} "))
	f.Add("", "", "", "", "", "", "", []byte(nil), "", "", "", "", "", "", "", []byte{})
	f.Fuzz(func(t *testing.T, g1, m1, p1, q1, c1, a1, o1 string, b1 []byte, g2, m2, p2, q2, c2, a2, o2 string, b2 []byte) {
		one := [...]string{g1, m1, p1, q1, c1, a1, o1, string(b1)}
		two := [...]string{g2, m2, p2, q2, c2, a2, o2, string(b2)}
		if (keyOf(one) == keyOf(two)) != (one == two) {
			t.Fatalf("%q and %q", one, two)
		}
		// Nor does it matter only what the parts are when put together.
		for i := range len(one) - 1 {
			moved := one
			if n := len(moved[i]); n > 0 {
				moved[i], moved[i+1] = moved[i][:n-1], moved[i][n-1:]+moved[i+1]
				if keyOf(moved) == keyOf(one) {
					t.Fatalf("%q and %q", one, moved)
				}
			}
		}
	})
}

func keyOf(p [8]string) Key {
	return KeyParts{Group: p[0], Method: p[1], Path: p[2], RawQuery: p[3], ContentType: p[4], App: p[5], Origin: p[6], Body: []byte(p[7])}.Key()
}
