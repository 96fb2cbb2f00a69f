package types

// OID names a type, relation, function … as in pg_catalog. Built-in objects have
// PostgreSQL's own numbers.
type OID uint32

// Type is an SQL type with its modifier (atttypmod); Mod is -1 when there is none.
// For varchar(n) and bpchar(n) Mod is n+4, for numeric(p,s) ((p<<16)|s)+4, for
// vector(n) it is n, for time and timestamp the precision.
type Type struct {
	OID OID
	Mod int32
}

// T makes a Type without a modifier.
func T(oid OID) Type { return Type{OID: oid, Mod: -1} }

// OIDs of the built-in types (pg_type.dat of PostgreSQL 15). vector is an
// extension's type in PostgreSQL and has no fixed number there; Helios gives it one.
const (
	BoolOID         OID = 16
	ByteaOID        OID = 17
	CharOID         OID = 18 // "char"
	NameOID         OID = 19
	Int8OID         OID = 20
	Int2OID         OID = 21
	Int2VectorOID   OID = 22
	Int4OID         OID = 23
	RegprocOID      OID = 24
	TextOID         OID = 25
	OIDOID          OID = 26
	OIDVectorOID    OID = 30
	JSONOID         OID = 114
	Float4OID       OID = 700
	Float8OID       OID = 701
	UnknownOID      OID = 705
	BPCharOID       OID = 1042
	VarcharOID      OID = 1043
	DateOID         OID = 1082
	TimeOID         OID = 1083
	TimestampOID    OID = 1114
	TimestampTZOID  OID = 1184
	IntervalOID     OID = 1186
	TimeTZOID       OID = 1266
	NumericOID      OID = 1700
	RegprocedureOID OID = 2202
	RegoperOID      OID = 2203
	RegclassOID     OID = 2205
	RegtypeOID      OID = 2206
	RecordOID       OID = 2249
	CStringOID      OID = 2275
	AnyOID          OID = 2276
	AnyArrayOID     OID = 2277
	VoidOID         OID = 2278
	AnyElementOID   OID = 2283
	UUIDOID         OID = 2950
	JSONBOID        OID = 3802
	RegroleOID      OID = 4096
	RegnamespaceOID OID = 4089
	TIDOID          OID = 27
	XIDOID          OID = 28
	CIDOID          OID = 29
	PGNodeTreeOID   OID = 194
	ACLItemOID      OID = 1033
	PGLSNOID        OID = 3220
	XID8OID         OID = 5069
	BitOID          OID = 1560
	VarbitOID       OID = 1562
	RegoperatorOID  OID = 2204
	RegcollationOID OID = 4191

	AnyNonArrayOID           OID = 2776
	AnyEnumOID               OID = 3500
	AnyCompatibleOID         OID = 5077
	AnyCompatibleArrayOID    OID = 5078
	AnyCompatibleNonArrayOID OID = 5079
	InternalOID              OID = 2281
	TriggerOID               OID = 2279

	VectorOID      OID = 16385
	VectorArrayOID OID = 16386

	// FirstUserOID is the first number given to relations and other user objects.
	FirstUserOID OID = 17000
)
