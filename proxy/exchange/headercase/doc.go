// Package headercase writes the names of an answer's header in the case that a header
// rule gives them: PowerJob's client finds X-POWERJOB-AUTH-PASSED in its exact case only.
package headercase
