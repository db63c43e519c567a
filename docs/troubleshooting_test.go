package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var troubleshooting = []string{"docs/troubleshooting.md", "docs/troubleshooting.zh-CN.md"}

// TestEveryWarningAndErrorHasACure holds the lists of log lines to the code, both
// ways: what the code logs at these levels is in them, and nothing else is.
func TestEveryWarningAndErrorHasACure(t *testing.T) {
	logged := warnings(t)
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
	for _, name := range troubleshooting {
		listed := map[string]bool{}
		for _, m := range row.FindAllStringSubmatch(read(t, name), -1) {
			listed[m[1]] = true
		}
		for _, message := range slices.Sorted(maps.Keys(logged)) {
			if !listed[message] {
				t.Errorf("%s does not say what to do about %q (%s)", name, message, logged[message])
			}
		}
		for message := range listed {
			if logged[message] == "" {
				t.Errorf("%s lists %q, which nothing logs as a warning or error", name, message)
			}
		}
	}
}

// warnings returns how each message of level warn or error begins, and where it is
// logged.
func warnings(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	eachFile(t, []string{"cmd/powerjob-shim", "internal", "metrics", "proxy", "rules", "configs"}, func(name string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Warn", "Error", "DPanic"}, f.Sel.Name) && !isTest(f.X) {
				for _, message := range beginnings(call.Args[0], file) {
					found[message] = name
				}
			}
			return true
		})
	})
	if len(found) < 20 {
		t.Fatalf("only %d messages were found in the code: %v", len(found), found)
	}
	return found
}

// isTest tells a *testing.T, as packages for tests have it, from a logger.
func isTest(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && name.Name == "t"
}

// beginnings returns the text that an expression begins with: of a literal, of a
// sum, and, of a variable, of all that its file appends to a list of that name in
// the plural.
func beginnings(e ast.Expr, file *ast.File) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil || e.Kind != token.STRING {
			return nil
		}
		return []string{text}
	case *ast.BinaryExpr:
		return beginnings(e.X, file)
	case *ast.Ident:
		var all []string
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			f, isName := call.Fun.(*ast.Ident)
			list, isList := call.Args[0].(*ast.Ident)
			_, same := call.Args[1].(*ast.Ident)
			if isName && isList && !same && f.Name == "append" && list.Name == e.Name+"s" {
				all = append(all, beginnings(call.Args[1], file)...)
			}
			return true
		})
		return all
	}
	return nil
}

// TestEveryStatusOfTheShimHasACure holds the lists of statuses to those that the
// shim answers with itself.
func TestEveryStatusOfTheShimHasACure(t *testing.T) {
	statuses := map[string]bool{"308": true, "499": true} // a redirect, and one for the log alone
	eachFile(t, []string{"proxy"}, func(_ string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			status, isStatus := call.Args[1].(*ast.SelectorExpr)
			if ok && isStatus && slices.Contains([]string{"Fail", "Unsent", "NoAnswer"}, f.Sel.Name) {
				statuses[codes[status.Sel.Name]] = true
			}
			return true
		})
	})
	if len(statuses) < 10 {
		t.Fatalf("only these statuses were found in the code: %v", statuses)
	}
	row := regexp.MustCompile(`(?m)^\| (\d{3}) \|`)
	for _, name := range troubleshooting {
		var listed []string
		for _, m := range row.FindAllStringSubmatch(read(t, name), -1) {
			listed = append(listed, m[1])
		}
		if want := slices.Sorted(maps.Keys(statuses)); !slices.Equal(listed, want) {
			t.Errorf("%s lists the statuses %v, want %v", name, listed, want)
		}
	}
}

// codes are net/http's names of statuses.
var codes = func() map[string]string {
	all := map[string]string{}
	for code := 100; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			name := regexp.MustCompile(`[^A-Za-z]`).ReplaceAllString(text, "")
			all["Status"+name] = strconv.Itoa(code)
		}
	}
	return all
}()

func TestEveryAlertHasAHeading(t *testing.T) {
	alert := regexp.MustCompile(`(?m)^\s*- alert: (\w+)`)
	for _, name := range troubleshooting {
		text := read(t, name)
		for _, m := range alert.FindAllStringSubmatch(read(t, "configs/prometheus/alerts.yaml"), -1) {
			if !strings.Contains(text, "\n### "+m[1]+"\n") {
				t.Errorf("%s has no heading ### %s", name, m[1])
			}
		}
	}
}

// eachFile calls visit with every Go file below some directories, tests apart.
func eachFile(t *testing.T, dirs []string, visit func(name string, file *ast.File)) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				visit(path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
