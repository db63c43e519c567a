package openapi

import (
	"errors"
	"strings"
	"testing"
)

func TestPathsAreReadAsASpringServerRoutesThem(t *testing.T) {
	for escaped, want := range map[string]string{
		// Tried on real servers: each of these is fetchAllJob.
		"/openApi/fetchAllJob":          "/openApi/fetchAllJob",
		"/openApi/fetchAllJob/":         "/openApi/fetchAllJob",
		"/openApi/%66etchAllJob":        "/openApi/fetchAllJob",
		"/%6fpen%41pi/fetchAllJob":      "/openApi/fetchAllJob",
		"/openApi;x=y/fetchAllJob":      "/openApi/fetchAllJob",
		"/openApi/fetchAllJob;x=y":      "/openApi/fetchAllJob",
		"/openApi/fetchAllJob;x=y/":     "/openApi/fetchAllJob",
		"/openApi;a=b;c/%66etchAllJob;": "/openApi/fetchAllJob",

		// And these are some other thing, which all servers agree upon.
		"/openApi/fetchalljob":      "/openApi/fetchalljob",
		"/openapi/fetchAllJob":      "/openapi/fetchAllJob",
		"/openApi/fetchAllJob.json": "/openApi/fetchAllJob.json",
		"/openApi/fetchAllJob%20":   "/openApi/fetchAllJob ",
		"/openApi":                  "/openApi",
		"/openApi/":                 "/openApi",
		"/":                         "",
		"/js/app.1a2b.js":           "/js/app.1a2b.js",
		"/%e4%bb%bb%e5%8a%a1":       "/任务",
		"/任务":                       "/任务",
		"/a+b":                      "/a+b",
		"/..a/...":                  "/..a/...",
	} {
		got, err := RoutePath(escaped)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", escaped, got, err, want)
		}
	}
}

func TestPathsThatServersReadInDifferentWaysAreAmbiguous(t *testing.T) {
	for _, escaped := range []string{
		"//openApi/saveJob",
		"/openApi//saveJob",
		"/openApi/saveJob//",
		"//",
		"/./openApi/saveJob",
		"/openApi/./saveJob",
		"/openApi/saveJob/.",
		"/x/../openApi/saveJob",
		"/openApi/saveJob/..",
		"/x/%2e%2e/openApi/saveJob",
		"/x/.%2E/openApi/saveJob",
		"/x/..;a=b/openApi/saveJob",
		"/;a=b/openApi/saveJob",
		"/;a=b",
		"/openApi/;a=b",
		"/openApi%2FsaveJob",
		"/openApi%2fsaveJob",
		"/openApi%5CsaveJob",
		`/openApi\saveJob`,
		"/openApi/saveJob%00",
		"/openApi/saveJob%0d%0a",
		"/openApi/saveJob%7f",
		"/openApi/saveJob%3Ba=b",
		"/openApi/%2573aveJob",
		"/openApi/saveJob%",
		"/openApi/saveJob%4",
		"/openApi/saveJob%zz",
		"/openApi/saveJob%ff",
		"/openApi/saveJob\xff",
		"openApi/saveJob",
		"*",
		"",
	} {
		if got, err := RoutePath(escaped); !errors.Is(err, ErrAmbiguousPath) {
			t.Errorf("%q: got %q, %v, want ErrAmbiguousPath", escaped, got, err)
		}
	}
}

func TestAPathThatMayLeadToOpenAPIIsKnownForOne(t *testing.T) {
	for _, escaped := range []string{
		"/openApi/saveJob", "//openApi/saveJob", "/x/../openApi/saveJob", "/OPENAPI/x", "/%6fpenApi/x",
		"/%256fpenApi/x", "/%25256fpenApi/x", "/open%41pi%2FsaveJob", "/%6fpenApi/%zz", "/%zz/%6FpenApi", "/%6fpenApi%",
		"/%zz/%256fpenApi",
	} {
		if !MayBeOpenAPI(escaped) {
			t.Errorf("%q: got false", escaped)
		}
	}
	for _, escaped := range []string{"", "/", "//", "/a/../b", "/js/app.js", "/open/api", "/%zz", "/file%2Fname", "/open-Api"} {
		if MayBeOpenAPI(escaped) {
			t.Errorf("%q: got true", escaped)
		}
	}
}

func TestAPlainPathCostsNoAllocation(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = RoutePath("/openApi/saveJob") }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func FuzzRoutePath(f *testing.F) {
	for _, seed := range []string{
		"/openApi/saveJob", "/openApi/%73aveJob/", "/openApi;x=y/saveJob;z", "/a%3Bb", "/a%2Fb", "//", "/a/../b", "/%", "/é", "/%25", "/;", "/a;/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		path, err := RoutePath(escaped)
		if err != nil {
			if path != "" || !errors.Is(err, ErrAmbiguousPath) {
				t.Fatalf("%q: got %q, %v", escaped, path, err)
			}
			return
		}
		if strings.ContainsAny(path, "\\%;\x00\r\n\x7f\uFFFD") || strings.Contains(path, "//") {
			t.Fatalf("%q: %q can be read in two ways", escaped, path)
		}
		for _, segment := range strings.Split(path, "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q: %q has a segment that moves", escaped, path)
			}
		}
		if ByPath(path) != nil && !MayBeOpenAPI(escaped) {
			t.Fatalf("%q is an OpenAPI call that MayBeOpenAPI does not know", escaped)
		}
		if path == "" { // "/"
			return
		}
		again, err := RoutePath(path)
		if err != nil || again != path {
			t.Fatalf("%q: %q is read again as %q, %v", escaped, path, again, err)
		}
	})
}
