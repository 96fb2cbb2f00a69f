package simtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/wal"
)

// state is all that a node holds, as of an LSN.
type state struct {
	at    wal.LSN
	pairs map[string]string
}

// horizonKey is where a store notes up to where it has removed old versions, which each
// node does by itself.
var horizonKey = []byte("\x01horizon")

func exportState(ctx context.Context, s *shard.Shard) (*state, error) {
	st := &state{pairs: map[string]string{}}
	err := s.Export(ctx, func(at wal.LSN) error {
		st.at = at
		return nil
	}, func(key, value []byte) error {
		if !bytes.HasPrefix(key, horizonKey) {
			st.pairs[string(key)] = string(value)
		}
		return nil
	})
	return st, err
}

// diff tells how two states differ, "" if they do not.
func (s *state) diff(o *state) string {
	missing, other := 0, 0
	example := ""
	for k, v := range s.pairs {
		switch w, ok := o.pairs[k]; {
		case !ok:
			missing++
			example = k
		case v != w:
			other++
			example = k
		}
	}
	more := len(o.pairs) - (len(s.pairs) - missing)
	if missing+other+more == 0 {
		return ""
	}
	return fmt.Sprintf("%d keys are missing, %d more are there, %d have another value, as %x", missing, more, other, example)
}
