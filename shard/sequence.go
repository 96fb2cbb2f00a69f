package shard

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// mark is where a sequence goes on: behind value when that one was handed out (called), with
// it otherwise. So a sequence that has come to the end of int64 has a mark too.
type mark struct {
	value  int64
	called bool
}

// String is the form in which marks travel: a plus sign stands for called.
func (m mark) String() string {
	if m.called {
		return strconv.FormatInt(m.value, 10) + "+"
	}
	return strconv.FormatInt(m.value, 10)
}

func parseMark(text string) (m mark, err error) {
	digits, called := strings.CutSuffix(text, "+")
	m.called = called
	if m.value, err = strconv.ParseInt(digits, 10, 64); err != nil {
		return m, types.Errorf("22023", "cannot read the sequence mark %q", text)
	}
	return m, nil
}

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
		m, used := s.mu.marks[seq]
		if !used {
			m = mark{value: q.Start}
		}
		if first, count, err = block(rel, m, max(n, 1)); err != nil {
			return nil, err
		}
		// The map moves on now: a second block may be drawn before this one is applied.
		m = mark{value: first + (count-1)*q.Increment, called: true}
		s.mu.marks[seq] = m
		return m.payload(seq), nil
	})
	return first, count, err
}

// block finds up to n values behind a mark.
func block(rel *catalog.Relation, m mark, n int64) (first, count int64, err error) {
	q := rel.Sequence
	first, ok := m.value, true
	if m.called {
		first, ok = q.After(m.value)
	}
	if ok {
		count = q.Values(first, n)
	}
	switch {
	case count > 0:
		return first, count, nil
	case q.Cycle:
		return q.Again(), q.Values(q.Again(), n), nil
	case q.Increment < 0:
		return 0, 0, types.Errorf("2200H", "nextval: reached minimum value of sequence %q (%d)", rel.Name, q.Min)
	}
	return 0, 0, types.Errorf("2200H", "nextval: reached maximum value of sequence %q (%d)", rel.Name, q.Max)
}

// SetSequence makes a sequence go on behind a value, or with it when it was not called;
// slots as for SequenceBlock.
func (s *Shard) SetSequence(ctx context.Context, seq types.OID, value int64, called bool, slots int) error {
	_, err := s.logRecord(ctx, wal.TypeSeqMark, 0, func(hlc.Timestamp) ([]byte, error) {
		if err := s.ownsSequence(seq, slots); err != nil {
			return nil, err
		}
		m := mark{value, called}
		s.mu.marks[seq] = m
		return m.payload(seq), nil
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

// SequenceMarks lists the sequences of some sealed units that have been used, as OID=mark
// with commas between.
func (s *Shard) SequenceMarks(units []placement.Unit, slots int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for seq, m := range s.mu.marks {
		if slices.Contains(units, placement.SequenceUnit(seq, slots)) {
			out = append(out, fmt.Sprintf("%d=%s", seq, m))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// AdoptSequences takes over what SequenceMarks gave at the shard that the units come from.
func (s *Shard) AdoptSequences(ctx context.Context, marks string) error {
	for one := range strings.SplitSeq(marks, ",") {
		if one == "" {
			continue
		}
		number, text, _ := strings.Cut(one, "=")
		seq, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return types.Errorf("22023", "cannot read the sequence mark %q", one)
		}
		m, err := parseMark(text)
		if err != nil {
			return err
		}
		if err := s.SetSequence(ctx, types.OID(seq), m.value, m.called, 0); err != nil {
			return err
		}
	}
	return nil
}

// A mark in a log record: the sequence's OID u32, then the mark's row.
func (m mark) payload(seq types.OID) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(seq))
	b = binary.BigEndian.AppendUint64(b, uint64(m.value))
	if m.called {
		return append(b, 1)
	}
	return append(b, 0)
}

// readMark reads the row of a mark: value i64, called u8; the first versions wrote no flag.
func readMark(b []byte) (mark, error) {
	switch {
	case len(b) == 8, len(b) == 9 && b[8] == 0:
		return mark{value: int64(binary.BigEndian.Uint64(b))}, nil
	case len(b) == 9 && b[8] == 1:
		return mark{value: int64(binary.BigEndian.Uint64(b)), called: true}, nil
	}
	return mark{}, errPayload
}
