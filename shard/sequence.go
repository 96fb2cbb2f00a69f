package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// SequenceBlock hands out the next n values of a sequence and returns the first one;
// none of them, nor anything before, is handed out again after a failover or a move. slots
// is the cluster's number of slots, which says who owns the sequence; 0 asks nobody.
func (s *Shard) SequenceBlock(ctx context.Context, seq types.OID, n int64, slots int) (first, count int64, err error) {
	rel, ok := s.Catalog().ByOID(seq)
	if !ok || rel.Sequence == nil {
		return 0, 0, types.Errorf("42P01", "there is no sequence with number %d", seq)
	}
	q := rel.Sequence
	_, err = s.logRecord(ctx, wal.TypeSeqMark, 0, func(hlc.Timestamp) ([]byte, error) {
		if err := s.ownsSequence(seq, slots); err != nil {
			return nil, err
		}
		next, used := s.mu.marks[seq]
		if !used {
			next = q.Start
		}
		first, count = next, n
		if count, err = blockSize(q.Min, q.Max, q.Increment, next, n, q.Cycle); err != nil {
			return nil, &types.Error{Code: "2200H", Message: err.Error() + " \"" + rel.Name + "\""}
		}
		if count < 0 { // wrap around
			first, count = q.Min, -count
			if q.Increment < 0 {
				first = q.Max
			}
		}
		// The map moves on now: a second block may be drawn before this one is applied.
		s.mu.marks[seq] = first + count*q.Increment
		return markPayload(seq, s.mu.marks[seq]), nil
	})
	return first, count, err
}

// SetSequence makes next the value that the sequence hands out next; slots
// as for SequenceBlock.
func (s *Shard) SetSequence(ctx context.Context, seq types.OID, next int64, slots int) error {
	_, err := s.logRecord(ctx, wal.TypeSeqMark, 0, func(hlc.Timestamp) ([]byte, error) {
		if err := s.ownsSequence(seq, slots); err != nil {
			return nil, err
		}
		s.mu.marks[seq] = next
		return markPayload(seq, next), nil
	})
	return err
}

// ownsSequence refuses to touch a sequence whose slot is another shard's, or is moving:
// its mark goes to the new owner. mu is held.
func (s *Shard) ownsSequence(seq types.OID, slots int) error {
	if slots == 0 {
		return nil
	}
	return s.mu.units.may(placement.SequenceUnit(seq, slots), true)
}

// SequenceMarks lists the sequences of some sealed units that have been used, as
// "OID=next value" with commas between.
func (s *Shard) SequenceMarks(units []placement.Unit, slots int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for seq, next := range s.mu.marks {
		if slices.Contains(units, placement.SequenceUnit(seq, slots)) {
			out = append(out, fmt.Sprintf("%d=%d", seq, next))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// AdoptSequences takes over what SequenceMarks gave at the shard that the units come from.
func (s *Shard) AdoptSequences(ctx context.Context, marks string) error {
	for mark := range strings.SplitSeq(marks, ",") {
		var seq types.OID
		var next int64
		if mark == "" {
			continue
		}
		if _, err := fmt.Sscanf(mark, "%d=%d", &seq, &next); err != nil {
			return types.Errorf("22023", "cannot read the sequence mark %q", mark)
		}
		if err := s.SetSequence(ctx, seq, next, 0); err != nil {
			return err
		}
	}
	return nil
}

func markPayload(seq types.OID, next int64) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(seq))
	return binary.BigEndian.AppendUint64(b, uint64(next))
}

// blockSize bounds a block by the sequence's end; a negative size says that the sequence
// begins again at its other end.
func blockSize(lowest, highest, increment, next, n int64, cycle bool) (int64, error) {
	left := int64(0)
	switch {
	case increment > 0 && next <= highest:
		left = (highest-next)/increment + 1
	case increment < 0 && next >= lowest:
		left = (next-lowest)/-increment + 1
	}
	if left <= 0 {
		if !cycle {
			if increment > 0 {
				return 0, errors.New("nextval: reached maximum value of sequence")
			}
			return 0, errors.New("nextval: reached minimum value of sequence")
		}
		return -1, nil
	}
	return min(n, left), nil
}
