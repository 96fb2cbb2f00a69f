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

// exportState takes a node's state; of each key only the newest version if others may
// have been removed as garbage, which each node does in its own time.
func exportState(ctx context.Context, s *shard.Shard, newest bool) (*state, error) {
	st := &state{pairs: map[string]string{}}
	var last []byte
	err := s.Export(ctx, func(at wal.LSN) error {
		st.at = at
		return nil
	}, func(key, value []byte) error {
		prefix := key[:max(0, len(key)-int(key[len(key)-1]))] // the rest is the version
		again := newest && len(prefix) < len(key) && bytes.Equal(prefix, last)
		last = append(last[:0], prefix...)
		if !again && !bytes.HasPrefix(key, horizonKey) {
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
