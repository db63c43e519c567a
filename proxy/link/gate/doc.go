// Package gate decides who may call: the check that servers before 5.1.0 do not have.
// What it decides by is package rules/access; here are the three links that carry it
// out, the look at tokens, and the answers to those who may not.
package gate
