package archive

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Each answer that is kept comes back as it was, and nothing is left of those that
// were removed.
func TestAnswersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var kept answers
		want := map[int]*Answer{}
		refs := map[int]answer{}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n++
				want[n] = &Answer{
					Status: rapid.SampledFrom([]int{200, 500}).Draw(t, "status"),
					Header: rapid.SampledFrom([]Header{"", "a", "b"}).Draw(t, "header"),
					Auth:   rapid.SampledFrom([]string{"", "true"}).Draw(t, "auth"),
					Body:   rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body"),
				}
				refs[n] = kept.put(want[n])
			},
			"remove": func(t *rapid.T) {
				if n == 0 {
					t.Skip("there is none")
				}
				some := rapid.IntRange(1, n).Draw(t, "which")
				kept.remove(refs[some])
				delete(want, some)
				delete(refs, some)
			},
			"": func(t *rapid.T) {
				for i, a := range want {
					if got := kept.get(refs[i]); !reflect.DeepEqual(got, a) {
						t.Fatalf("got %+v, want %+v", got, a)
					}
					if got, want := kept.bytes(refs[i]), a.Bytes(); got != want {
						t.Fatalf("counted for %d bytes, want %d", got, want)
					}
				}
				if len(want) == 0 && kept.len() != 0 {
					t.Fatalf("%d parts are left over", kept.len())
				}
			},
		})
	})
}
