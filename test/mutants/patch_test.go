package mutants

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
)

// A patch weakens a function. It says what to look for and what to put there, as
// `gofmt -r` does: old and new are an expression or statements, and an identifier of
// one small letter stands for any expression, the same in both. Fields, functions and
// operators must be as they are written; names of local variables and the layout do
// not matter. A block that is written { ___ } is any block. An empty new removes the
// statements.
type patch struct{ old, new string }

// as makes patches of pairs of old and new.
func as(pairs ...string) (patches []patch) {
	for i := 0; i < len(pairs); i += 2 {
		patches = append(patches, patch{pairs[i], pairs[i+1]})
	}
	return patches
}

// code is a piece of Go with its text.
type code struct {
	text  string
	base  token.Pos // of the text's beginning
	stmts []ast.Stmt
}

func parse(text string) (code, error) {
	const head = "package p; func _() {"
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", head+text+"\n}", parser.SkipObjectResolution)
	if err != nil {
		return code{}, fmt.Errorf("%s: %w", text, err)
	}
	return code{head + text, file.FileStart, file.Decls[0].(*ast.FuncDecl).Body.List}, nil
}

func (c code) of(n ast.Node) string { return c.text[n.Pos()-c.base : n.End()-c.base] }

// place is where a patch fits, and what its letters stand for there.
type place struct {
	from, to token.Pos
	letters  map[string]string
}

// patched returns a function's text, from its beginning to its end, with p.
func (p patch) patched(f *ast.FuncDecl, text string) (string, error) {
	old, err := parse(p.old)
	if err != nil {
		return "", err
	}
	within := code{text: text, base: f.Pos()}
	places := old.places(within, f.Body)
	if len(places) != 1 {
		return "", fmt.Errorf("%s fits %d times\n%s\nwant once: the mutant has to follow the code", f.Name.Name, len(places), p.old)
	}
	put, err := parse(p.new)
	if err != nil {
		return "", err
	}
	at := places[0]
	return text[:at.from-f.Pos()] + put.fill(at.letters) + text[at.to-f.Pos():], nil
}

// places returns where c fits in a function.
func (c code) places(within code, body *ast.BlockStmt) (all []place) {
	whole, one := ast.Expr(nil), false
	if len(c.stmts) == 1 {
		if e, ok := c.stmts[0].(*ast.ExprStmt); ok {
			whole, one = e.X, true
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && one {
			m := matcher{within, map[string]string{}}
			if m.same(reflect.ValueOf(whole), reflect.ValueOf(e)) {
				all = append(all, place{e.Pos(), e.End(), m.letters})
			}
		}
		for list := statements(n); !one && len(list) >= len(c.stmts); list = list[1:] {
			m := matcher{within, map[string]string{}}
			if m.same(reflect.ValueOf(c.stmts), reflect.ValueOf(list[:len(c.stmts)])) {
				all = append(all, place{list[0].Pos(), list[len(c.stmts)-1].End(), m.letters})
			}
		}
		return true
	})
	return all
}

func statements(n ast.Node) []ast.Stmt {
	switch n := n.(type) {
	case *ast.BlockStmt:
		return n.List
	case *ast.CaseClause:
		return n.Body
	}
	return nil
}

// fill returns c's text with what its letters stand for.
func (c code) fill(letters map[string]string) string {
	var out strings.Builder
	if len(c.stmts) == 0 {
		return ""
	}
	end := c.stmts[0].Pos()
	for _, s := range c.stmts {
		ast.Inspect(s, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if stands, ok := letters[id.Name]; ok {
					out.WriteString(c.text[end-c.base:id.Pos()-c.base] + stands)
					end = id.End()
				}
			}
			return true
		})
	}
	return out.String() + c.text[end-c.base:c.stmts[len(c.stmts)-1].End()-c.base]
}

const anyBlock = "___"

// matcher compares a pattern with code.
type matcher struct {
	within  code
	letters map[string]string // what stands for a letter
}

var (
	positions = reflect.TypeFor[token.Pos]()
	idents    = reflect.TypeFor[*ast.Ident]()
	blocks    = reflect.TypeFor[*ast.BlockStmt]()
	exprs     = reflect.TypeFor[ast.Expr]()
)

// same reports whether code looks as a pattern does.
func (m matcher) same(pattern, of reflect.Value) bool {
	if pattern.Kind() == reflect.Interface {
		if pattern.IsNil() || of.IsNil() {
			return pattern.IsNil() && of.IsNil()
		}
		return m.same(pattern.Elem(), of.Elem())
	}
	if pattern.Type() == idents && !pattern.IsNil() && of.Type().Implements(exprs) && !of.IsNil() {
		if name := pattern.Interface().(*ast.Ident).Name; len(name) == 1 && name[0] >= 'a' && name[0] <= 'z' {
			return m.stands(name, m.within.of(of.Interface().(ast.Node)))
		}
	}
	if pattern.Type() != of.Type() {
		return false
	}
	if pattern.Type() == blocks && !pattern.IsNil() && isAny(pattern.Interface().(*ast.BlockStmt)) {
		b := of.Interface().(*ast.BlockStmt)
		return m.stands(anyBlock, m.within.text[b.Lbrace+1-m.within.base:b.Rbrace-m.within.base])
	}
	switch pattern.Kind() {
	case reflect.Pointer:
		if pattern.IsNil() || of.IsNil() {
			return pattern.IsNil() && of.IsNil()
		}
		return m.same(pattern.Elem(), of.Elem())
	case reflect.Slice:
		if pattern.Len() != of.Len() {
			return false
		}
		for i := range pattern.Len() {
			if !m.same(pattern.Index(i), of.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range pattern.NumField() {
			if pattern.Field(i).Type() != positions && !m.same(pattern.Field(i), of.Field(i)) {
				return false
			}
		}
		return true
	}
	return pattern.Interface() == of.Interface()
}

// stands reports whether a letter may stand for a text: it must stand for the same one everywhere.
func (m matcher) stands(letter, text string) bool {
	before, known := m.letters[letter]
	if !known {
		m.letters[letter] = text
	}
	return !known || before == text
}

func isAny(b *ast.BlockStmt) bool {
	if len(b.List) != 1 {
		return false
	}
	s, ok := b.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	id, ok := s.X.(*ast.Ident)
	return ok && id.Name == anyBlock
}

func TestAPatchFollowsRenamesAndLayout(t *testing.T) {
	for _, c := range []struct{ name, function, old, new, want string }{
		{"an expression", "{ return one.two && three(one) }", "a.two && b", "b", "{ return three(one) }"},
		{"another layout", "{ return one.two &&\n\tthree(one) }", "a.two && b", "b", "{ return three(one) }"},
		{"a condition", "{ if n := f(x); n.ok { g() } }", "k.ok", "true", "{ if n := f(x); true { g() } }"},
		{"statements", "{ p(); x.y = z; q(z); r() }", "a.y = b; q(b)", "q(a)", "{ p(); q(x); r() }"},
		{"in a case", "{ switch { case a: b.c(); d() } }", "x.c()", "", "{ switch { case a: ; d() } }"},
		{"any block", "{ for i := range all { use(i)\n } }", "for i := range l { ___ }", "for i := range l[:0] { ___ }", "{ for i := range all[:0] {  use(i)\n  } }"},
		{"letters that differ", "{ f(x, y); f(y, y) }", "f(a, a)", "g(a)", "{ f(x, y); g(y) }"},
		{"not there", "{ f(x) }", "f(a).b", "", ""},
		{"there twice", "{ f(x); f(y) }", "f(a)", "", ""},
	} {
		files := token.NewFileSet()
		text := "func name() " + c.function
		file, err := parser.ParseFile(files, "", "package p\n"+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got, err := patch{c.old, c.new}.patched(file.Decls[0].(*ast.FuncDecl), text)
		if (err != nil) != (c.want == "") || err == nil && got != "func name() "+c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}
