package pgwire

import "github.com/heliosdb/helios/types"

// appendValue appends a value that is not NULL in its column's format.
func appendValue(dst []byte, v types.Value, c *Column, s *types.Settings) []byte {
	if c.Format == formatBinary {
		return types.AppendBinary(dst, c.Type, v)
	}
	return types.AppendText(dst, c.Type, v, s)
}

// typeLength is pg_type.typlen: the bytes of a type of fixed length, -1 for others, -2 for C strings.
func typeLength(oid types.OID) int16 {
	if info := types.Lookup(oid); info != nil {
		return info.Len
	}
	return -1
}
