package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLogsHasEveryField holds the tables of logs.md to the fields that the
// product's code writes.
func TestLogsHasEveryField(t *testing.T) {
	text := read(t, "docs/logs.md")
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| ((?:`[a-z0-9_]+`,? ?)+)").FindAllStringSubmatch(text, -1) {
		told = append(told, regexp.MustCompile("[a-z0-9_]+").FindAllString(m[1], -1)...)
	}
	slices.Sort(told)
	written := []string{"level", "msg", "ts"}
	for _, dir := range []string{"cmd", "configs", "internal", "metrics", "proxy", "rules"} {
		written = append(written, fieldsIn(t, filepath.Join(root, dir))...)
	}
	slices.Sort(written)
	written = slices.Compact(written)
	for _, name := range written {
		if !slices.Contains(told, name) {
			t.Errorf("logs.md does not have the field %s", name)
		}
	}
	for _, name := range told {
		if name != strings.ToLower(name) || !slices.Contains(written, name) && !slices.Contains([]string{"auto", "json", "console"}, name) {
			t.Errorf("logs.md has %s, which nothing writes", name)
		}
	}
}

// fieldsIn returns the names of log fields in a directory's code: constants
// called field... or Field..., and what zap's functions are given as a name.
func fieldsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "powerjob-shim-ingress") {
			return fs.SkipDir // a program of its own
		}
		if filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if strings.HasPrefix(strings.ToLower(name.Name), "field") && i < len(n.Values) {
						names = appendText(names, n.Values[i])
					}
				}
			case *ast.CallExpr:
				if called, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) > 0 && types.ExprString(called.X) == "zap" {
					names = appendText(names, n.Args[0])
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func appendText(names []string, e ast.Expr) []string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return names
	}
	if name, err := strconv.Unquote(lit.Value); err == nil && name == strings.ToLower(name) && len(name) > 1 {
		names = append(names, name)
	}
	return names
}
