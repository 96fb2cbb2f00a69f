package builtin

import "math/rand/v2"

// processRandom is random() where the statement brings no generator of its own.
func processRandom() float64 { return rand.Float64() }
