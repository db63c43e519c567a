package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// chosen is the environment variable with the number of the mutant that a woven
// test binary runs; 0: none.
const chosen = "POWERJOB_SHIM_MUTANT"

// chooser joins a package whose functions are woven.
const chooser = `package %s

import (
	"os"
	"strconv"
)

var wovenMutant = func() int { n, _ := strconv.Atoi(os.Getenv("` + chosen + `")); return n }()
`

// woven is a source file that has, beside each function with a mutant, a copy of
// it for each mutant, and instead of it one that calls the chosen copy. So one
// build serves all mutants of a package. numbers are those of its mutants.
type woven struct {
	pkg     string
	source  string
	numbers []int
}

// weave weaves the mutants of one file; those that it returns in apart must be
// built alone: they change a generic function.
func weave(t *testing.T, fileName, source string, all []mutant) (w woven, apart []int) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, fileName, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	w.pkg = file.Name.Name
	var out strings.Builder
	end := 0 // of what of source is in out
	text := func(n ast.Node) string { return source[n.Pos()-file.FileStart : n.End()-file.FileStart] }
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || generic(f) {
			continue
		}
		var numbers []int
		from, to := int(f.Pos()-file.FileStart), int(f.End()-file.FileStart)
		name := int(f.Name.Pos() - file.FileStart)
		for i, m := range all {
			if m.file == fileName && m.function == nameOf(f) {
				numbers = append(numbers, i)
			}
		}
		if numbers == nil {
			continue
		}
		out.WriteString(source[end:from] + dispatcher(f, numbers, text))
		for _, i := range append([]int{-1}, numbers...) {
			body := source[from:to]
			if i >= 0 {
				body = all[i].weaken(t, f, body)
			}
			out.WriteString(body[:name-from] + variant(f, i+1) + body[name-from+len(f.Name.Name):] + "\n\n")
		}
		end = to
		w.numbers = append(w.numbers, numbers...)
	}
	w.source = out.String() + source[end:]
	for i, m := range all {
		if m.file == fileName && !slices.Contains(w.numbers, i) {
			apart = append(apart, i)
		}
	}
	return w, apart
}

// weakened returns a file with a mutant, for one that is built alone.
func (m mutant) weakened(t *testing.T, source string) string {
	t.Helper()
	if m.function == "" {
		if n := strings.Count(source, m.patches[0].old); n != 1 {
			t.Fatalf("%s has %d times\n%s\nwant once", m.file, n, m.patches[0].old)
		}
		return strings.Replace(source, m.patches[0].old, m.patches[0].new, 1)
	}
	file, err := parser.ParseFile(token.NewFileSet(), m.file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && nameOf(f) == m.function {
			from, to := f.Pos()-file.FileStart, f.End()-file.FileStart
			return source[:from] + m.weaken(t, f, source[from:to]) + source[to:]
		}
	}
	t.Fatalf("%s has no function %s: the mutant has to follow the code", m.file, m.function)
	return ""
}

// weaken returns the text of a function with the mutant's patches.
func (m mutant) weaken(t *testing.T, f *ast.FuncDecl, text string) string {
	t.Helper()
	for _, p := range m.patches {
		var err error
		if text, err = p.patched(f, text); err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		if f, err = function(text); err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
	}
	return text
}

// function parses one function's text. Its positions are as if it were a file's
// beginning.
func function(text string) (*ast.FuncDecl, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return file.Decls[0].(*ast.FuncDecl), nil
}

// nameOf is a function's name behind that of its receiver's type.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	for {
		switch t := of.(type) {
		case *ast.StarExpr:
			of = t.X
		case *ast.IndexExpr:
			of = t.X
		case *ast.IndexListExpr:
			of = t.X
		case *ast.Ident:
			return t.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}

func generic(f *ast.FuncDecl) bool {
	if f.Type.TypeParams != nil {
		return true
	}
	found := false
	if f.Recv != nil {
		ast.Inspect(f.Recv, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.IndexExpr, *ast.IndexListExpr:
				found = true
			}
			return true
		})
	}
	return found
}

// variant is the name of a function's copy; number 0 is the function as it is.
func variant(f *ast.FuncDecl, number int) string {
	return fmt.Sprintf("%sMutant%d", f.Name.Name, number)
}

// dispatcher is a function with f's name and signature that calls a copy.
func dispatcher(f *ast.FuncDecl, numbers []int, text func(ast.Node) string) string {
	var out strings.Builder
	out.WriteString("func ")
	receiver := ""
	if f.Recv != nil {
		out.WriteString("(receiver " + text(f.Recv.List[0].Type) + ") ")
		receiver = "receiver."
	}
	params, args := parameters(f.Type.Params, text)
	out.WriteString(f.Name.Name + "(" + params + ")")
	call := ""
	if f.Type.Results != nil {
		var types []string
		for _, field := range f.Type.Results.List {
			for range max(1, len(field.Names)) {
				types = append(types, text(field.Type))
			}
		}
		out.WriteString(" (" + strings.Join(types, ", ") + ")")
		call = "return "
	}
	out.WriteString(" {\n\tswitch wovenMutant {\n")
	for _, i := range numbers {
		fmt.Fprintf(&out, "\tcase %d:\n\t\t%s%s%s(%s)\n", i+1, call, receiver, variant(f, i+1), args)
		if call == "" {
			out.WriteString("\t\treturn\n")
		}
	}
	fmt.Fprintf(&out, "\t}\n\t%s%s%s(%s)\n}\n\n", call, receiver, variant(f, 0), args)
	return out.String()
}

// parameters declares a function's parameters with names of its own, and passes
// them on.
func parameters(of *ast.FieldList, text func(ast.Node) string) (declared, passed string) {
	var params, args []string
	for _, field := range of.List {
		for range max(1, len(field.Names)) {
			name := fmt.Sprint("p", len(params))
			params = append(params, name+" "+text(field.Type))
			if _, variadic := field.Type.(*ast.Ellipsis); variadic {
				name += "..."
			}
			args = append(args, name)
		}
	}
	return strings.Join(params, ", "), strings.Join(args, ", ")
}
