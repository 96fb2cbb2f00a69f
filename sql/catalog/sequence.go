package catalog

// After gives the value that follows another one; ok is false at the sequence's end. No sum
// leaves int64 on the way.
func (s *Sequence) After(v int64) (next int64, ok bool) {
	if s.Values(v, 2) < 2 {
		return 0, false
	}
	return v + s.Increment, true
}

// Values tells how many of n values, the first one among them, come before the sequence's
// end; 0 when the first is behind it.
func (s *Sequence) Values(first, n int64) int64 {
	var room, step uint64
	switch {
	case s.Increment > 0 && first <= s.Max:
		room, step = uint64(s.Max)-uint64(first), uint64(s.Increment)
	case s.Increment < 0 && first >= s.Min:
		room, step = uint64(first)-uint64(s.Min), -uint64(s.Increment)
	default:
		return 0
	}
	return int64(min(uint64(n-1), room/step)) + 1
}

// Again is the value that a sequence with CYCLE goes on with at its end.
func (s *Sequence) Again() int64 {
	if s.Increment < 0 {
		return s.Max
	}
	return s.Min
}
