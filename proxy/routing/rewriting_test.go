package routing

import "testing"

func TestPathsAreRewrittenAsTheIngressDid(t *testing.T) {
	for _, c := range []struct{ strip, add, context, path, want string }{
		{"/pj", "", "", "/pj/openApi/saveJob", "/openApi/saveJob"},
		{"/pj", "", "", "/pj", "/"},
		{"/pj", "", "", "/pj/", "/"},
		{"/pj", "", "", "/pjx/a", "/pjx/a"}, // whole segments only
		{"/pj", "", "", "/other", "/other"},
		{"/pj", "", "", "/pj/%6fpenApi/a;b=c", "/%6fpenApi/a;b=c"}, // the rest byte for byte
		{"/pj", "", "", "/pj//a", "//a"},
		{"/pj", "", "", "/%70j/a", "400"},
		{"/pj", "", "", "/pj;x=y/a", "400"},
		{"/pj", "", "", "/%70j;x=y/a%2fb", "400"},
		{"/a/b", "", "", "/a%2Fb/c", "400"},
		{"/a/b", "", "", "/a/b/c", "/c"},
		{"/a/b", "", "", "/a/bc", "/a/bc"},
		{"", "/x", "", "/openApi/saveJob", "/x/openApi/saveJob"},
		{"", "/x", "", "/x/a", "/x/x/a"},
		{"/pj", "/x", "", "/pj/a", "/x/a"},
		{"/pj", "/x", "/c", "/pj/a", "/c/x/a"},
		{"/pj", "/c", "/c", "/pj/a", "/c/a"}, // it is under the context path then
		{"", "", "/pj", "/openApi/saveJob", "/pj/openApi/saveJob"},
		{"", "", "/pj", "/pj/openApi/saveJob", "/pj/openApi/saveJob"},
		{"", "", "/pj", "/pj", "/pj"},
		{"", "", "/pj", "/", "/pj/"},
		{"", "", "/pj", "/pjx", "/pj/pjx"},
		{"", "", "/pj", "/%70j/openApi/saveJob", "/%70j/openApi/saveJob"}, // under it, as a server reads it
		{"", "", "/pj", "//a", "/pj//a"},
	} {
		got, ok := Rewriting{c.strip, c.add, c.context}.Path(c.path)
		if !ok {
			got = "400"
		}
		if got != c.want {
			t.Errorf("strip %q, add %q, context %q: %s became %s, want %s", c.strip, c.add, c.context, c.path, got, c.want)
		}
	}
}
