package headercase

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"powerjob-shim/rules"
	"powerjob-shim/rules/openapi"
)

func TestARuleGivesAFieldItsCase(t *testing.T) {
	added := rules.Header{Name: openapi.AuthHeader, Value: "true"}
	for _, c := range []struct {
		name   string
		rule   rules.Header
		came   http.Header
		want   []string // under exactly the rule's name
		action rules.HeaderAction
	}{
		{"nothing came", added, http.Header{}, []string{"true"}, rules.HeaderAdded},
		{"it came", added, http.Header{openapi.AuthKey: {"true"}}, []string{"true"}, rules.HeaderKept},
		{"a refusal came", added, http.Header{openapi.AuthKey: {"true", " False "}}, []string{" False "}, rules.HeaderDenied},
		{"a rule that adds nothing", rules.Header{Name: "X-OTHER"}, http.Header{}, nil, ""},
		{"a name alone", rules.Header{Name: "X-OTHER"}, http.Header{"X-Other": {"a", "b"}}, []string{"a", "b"}, rules.HeaderRecased},
	} {
		action := Apply(c.came, c.rule)
		if got := c.came[c.rule.Name]; !slices.Equal(got, c.want) || action != c.action || len(c.came) > 1 {
			t.Errorf("%s: %v, %q", c.name, c.came, action)
		}
	}
}

func TestAFieldIsWrittenAsTheServerSpelledIt(t *testing.T) {
	const head = "HTTP/1.1 100 Continue\r\nX-OTHER: no\r\n\r\nHTTP/1.1 200 OK\r\nx-other: a\r\nX-oTher:b\r\n\r\nX-OTHER: in the body"
	if got := Spellings([]byte(head), "X-Other"); !slices.Equal(got, []string{"x-other", "X-oTher"}) {
		t.Errorf("the names are %q", got)
	}
	for _, c := range []struct {
		head string
		want map[string][]string
	}{
		{head, map[string][]string{"x-other": {"a"}, "X-oTher": {"b"}}},
		{"", map[string][]string{"X-OTHER": {"a", "b"}}}, // it is not known
	} {
		h := http.Header{"X-Other": {"a", "b"}}
		if Respell(h, []byte(c.head), "X-OTHER"); !reflect.DeepEqual(map[string][]string(h), c.want) {
			t.Errorf("the header is %v, want %v", h, c.want)
		}
	}
}
