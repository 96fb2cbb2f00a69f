package simtest

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/heliosdb/helios/auth"
)

// theLogin is shared by all runs: a verifier with one iteration, for logins that cost
// nothing.
var theLogin = sync.OnceValue(func() login {
	l := login{password: "simulated", secret: "the secret of a simulated cluster"}
	v, err := auth.NewVerifier(l.password)
	if err != nil {
		panic(err)
	}
	l.verifier = v.String()
	return l
})

// runSeed plays one seed in a bubble of its own.
func runSeed(t *testing.T, seed uint64) (failures []string, log string) {
	l := theLogin()
	synctest.Test(t, func(*testing.T) {
		s := newSim(seed, l)
		s.run()
		failures, log = s.report()
	})
	return failures, log
}
