package pgwire

import "github.com/heliosdb/helios/types"

// appendValue appends a value that is not NULL in its column's format.
func appendValue(dst []byte, v types.Value, c *Column) ([]byte, error) {
	if c.Format == formatText && v.Kind() == types.KindText {
		return append(dst, v.AsText()...), nil
	}
	return nil, types.Errorf("42883", "no binary output function available for type %d", c.Type.OID)
}
