// Package headercase writes the names of an answer's header in the case that a header
// rule gives them.
package headercase
