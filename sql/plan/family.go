package plan

import "github.com/heliosdb/helios/types"

// sameFamily tells whether equal values of the two types have the same key encoding.
func sameFamily(a, b types.OID) bool {
	if a == b {
		return a != types.BPCharOID // blanks at the end do not count
	}
	return family(a) != 0 && family(a) == family(b)
}

// family groups the types that hold their values alike.
func family(oid types.OID) byte {
	switch oid {
	case types.Int2OID, types.Int4OID, types.Int8OID, types.OIDOID, types.RegclassOID, types.RegtypeOID,
		types.RegprocOID, types.RegnamespaceOID, types.RegroleOID:
		return 'i'
	case types.Float4OID, types.Float8OID:
		return 'f'
	case types.TextOID, types.VarcharOID, types.NameOID:
		return 't'
	}
	return 0
}

// unrelabel takes off casts that change the type but not the value.
func unrelabel(e Expr) Expr {
	for {
		c, ok := e.(*Cast)
		if !ok || c.Typ.Mod >= 0 {
			return e
		}
		from, to := c.Arg.Type().OID, c.Typ.OID
		widening := family(from) != 0 && family(from) == family(to) && (family(from) != 'i' || intWidth(from) <= intWidth(to))
		if !widening {
			return e
		}
		e = c.Arg
	}
}

func intWidth(oid types.OID) int {
	switch oid {
	case types.Int2OID:
		return 2
	case types.Int8OID:
		return 8
	}
	return 4
}
