// Package gate decides who may call: the check that the servers behind do not do. What
// it decides by is package rules/access; here are the three links that carry it out,
// the look at tokens, and the answers to those who may not call.
package gate
