// Package types holds SQL types and values, vector among them: comparison,
// order-preserving key encoding, row encoding, the canonical encoding that is
// hashed, text and binary form; and the error that carries a SQLSTATE.
//
// A Value is a small struct passed by copy. It never owns mutable memory: what a
// Value points at (text, vector, numeric, array) is immutable once the Value exists.
package types
