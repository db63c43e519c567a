package archive

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// What a plain map of answers does is what Answers does.
func TestAnswersAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var answers Answers
		kept := map[int]Answer{}
		refs := map[int]Ref{}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n++
				kept[n] = Answer{
					Status: rapid.SampledFrom([]int{200, 500}).Draw(t, "status"),
					Header: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "header"),
					Auth:   rapid.SampledFrom([]string{"", "true"}).Draw(t, "auth"),
					Body:   rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body"),
				}
				refs[n] = answers.Put(kept[n])
			},
			"remove": func(t *rapid.T) {
				if n == 0 {
					t.Skip("there is none")
				}
				some := rapid.IntRange(1, n).Draw(t, "which")
				answers.Remove(refs[some]) // once more is no harm
				delete(kept, some)
				delete(refs, some)
			},
			"": func(t *rapid.T) {
				for i, want := range kept {
					if got := answers.Get(refs[i]); !reflect.DeepEqual(got, want) {
						t.Fatalf("got %+v, want %+v", got, want)
					}
					if got, want := answers.Bytes(refs[i]), Bytes(len(want.Header), len(want.Body)); got != want {
						t.Fatalf("counted for %d bytes, want %d", got, want)
					}
				}
				if len(kept) == 0 && answers.Len() != 0 {
					t.Fatalf("%d parts are left over", answers.Len())
				}
			},
		})
	})
}
