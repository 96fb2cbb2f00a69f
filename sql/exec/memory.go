package exec

import "github.com/heliosdb/helios/types"

// grow counts memory that an operator holds until the statement's end.
func (env *Env) grow(bytes int64) error {
	held := env.run.memory.Add(bytes)
	if env.MemoryLimit > 0 && held > env.MemoryLimit {
		return types.Errorf("53200", "out of memory").
			WithDetail("The statement needs more than its limit of %d bytes for sorting, grouping and joining.", env.MemoryLimit).
			WithHint("Ask for fewer rows, add a LIMIT or an index, or raise the limit.")
	}
	return nil
}

const (
	valueBytes = 24
	rowBytes   = 24
)

func rowsSize(rows []types.Row) int64 {
	var n int64
	for _, r := range rows {
		n += rowSize(r)
	}
	return n
}

func rowSize(row types.Row) int64 {
	n := int64(rowBytes + valueBytes*len(row))
	for _, v := range row {
		n += payload(v)
	}
	return n
}

// payload estimates the bytes that a value points at.
func payload(v types.Value) int64 {
	switch v.Kind() {
	case types.KindText, types.KindJSONB:
		return int64(len(v.AsText()))
	case types.KindBytes:
		return int64(len(v.AsBytes()))
	case types.KindVector:
		return int64(4 * len(v.AsVector()))
	case types.KindNumeric:
		return 56
	case types.KindInterval:
		return 16
	case types.KindArray:
		n := int64(80)
		for _, e := range v.AsArray().Elems {
			n += valueBytes + payload(e)
		}
		return n
	case types.KindRecord:
		return rowSize(v.AsRecord())
	}
	return 0
}
