package shard

import (
	"encoding/binary"

	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Keys in storage, drawn in docs/format/keys.md:
//
//	'c' relative catalog key                                  a row of the catalog
//	'i' index OID u32, key columns, unit u32, primary key      an index entry
//	'r' table OID u32, unit u32, primary key                   a row
//
// Numbers are big-endian, columns are in types' order-preserving encoding.
const (
	catalogPrefix = 'c'
	indexPrefix   = 'i'
	rowPrefix     = 'r'
)

func tablePrefix(table types.OID) []byte {
	return binary.BigEndian.AppendUint32([]byte{rowPrefix}, uint32(table))
}

func unitPrefix(table types.OID, unit uint32) []byte {
	return binary.BigEndian.AppendUint32(tablePrefix(table), unit)
}

// rowKey is the key of a row in its unit.
func rowKey(rel *catalog.Relation, unit uint32, row types.Row) []byte {
	return appendPrimaryKey(unitPrefix(rel.OID, unit), rel, row)
}

func appendPrimaryKey(dst []byte, rel *catalog.Relation, row types.Row) []byte {
	for _, k := range rel.PrimaryKey.Keys {
		dst = types.AppendKey(dst, row[k.Column-1], k.Desc, k.NullsFirst)
	}
	return dst
}

func indexKeyPrefix(index types.OID) []byte {
	return binary.BigEndian.AppendUint32([]byte{indexPrefix}, uint32(index))
}

// unitOfRowKey reads the unit out of a row's key.
func unitOfRowKey(key []byte) uint32 { return binary.BigEndian.Uint32(key[5:9]) }

// tableOfRowKey reads the table out of a row's key.
func tableOfRowKey(key []byte) types.OID { return types.OID(binary.BigEndian.Uint32(key[1:5])) }

// prefixEnd is the first key behind all that begin with prefix, nil if there is none.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// unitRange is where a unit's rows of one table lie.
func unitRange(table types.OID, u placement.Unit) (lo, hi []byte) {
	lo = unitPrefix(table, u.N)
	return lo, prefixEnd(lo)
}
