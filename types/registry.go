package types

import (
	"fmt"
	"strconv"
	"strings"
)

// Info describes a built-in type; the fields are those of pg_type.
type Info struct {
	OID       OID
	Name      string // typname
	SQL       string // the standard's spelling, as format_type prints it
	Len       int16  // typlen: bytes, -1 variable, -2 C string
	ByVal     bool
	Align     byte
	Storage   byte
	Kind      byte // typtype: 'b' base, 'p' pseudo
	Category  byte
	Preferred bool
	Elem      OID // element type of arrays, int2vector, oidvector and name
	Array     OID // the array type over this one, 0 if there is none
	Collation OID
}

var (
	infoByOID  = make(map[OID]*Info, len(builtinTypes))
	infoByName = make(map[string]*Info, len(builtinTypes))
)

// aliases are the SQL spellings that are not type names.
var aliases = map[string]OID{
	"int": Int4OID, "integer": Int4OID, "smallint": Int2OID, "bigint": Int8OID,
	"real": Float4OID, "double precision": Float8OID, "float": Float8OID,
	"decimal": NumericOID, "dec": NumericOID, "boolean": BoolOID,
	"character varying": VarcharOID, "char varying": VarcharOID,
	"character": BPCharOID, "char": BPCharOID, "nchar": BPCharOID,
	"national character": BPCharOID, "national char": BPCharOID,
	"national character varying": VarcharOID, "national char varying": VarcharOID,
	"timestamp with time zone":    TimestampTZOID,
	"timestamp without time zone": TimestampOID,
	"time with time zone":         TimeTZOID,
	"time without time zone":      TimeOID,
}

// Builtins gives all built-in types in the order of their OIDs; read only.
func Builtins() []Info { return builtinTypes }

func init() {
	for i := range builtinTypes {
		infoByOID[builtinTypes[i].OID] = &builtinTypes[i]
		infoByName[builtinTypes[i].Name] = &builtinTypes[i]
	}
}

// Lookup finds a built-in type by its OID; nil if there is none.
func Lookup(oid OID) *Info { return infoByOID[oid] }

// LookupName finds a built-in type by its pg_type name.
func LookupName(typname string) *Info { return infoByName[typname] }

// ArrayOf gives the array type over elem, 0 if there is none.
func ArrayOf(elem OID) OID {
	if info := infoByOID[elem]; info != nil {
		return info.Array
	}
	return 0
}

// ElemOf gives the element type of a true array type, int2vector or oidvector; 0 for others.
func ElemOf(array OID) OID {
	if info := infoByOID[array]; info != nil && info.Category == 'A' {
		return info.Elem
	}
	return 0
}

// IsArray tells whether values of the type are arrays (int2vector and oidvector among them).
func IsArray(oid OID) bool { return ElemOf(oid) != 0 }

// Name gives the SQL spelling of a type without modifier, as error messages show it.
func (o OID) Name() string {
	if info := infoByOID[o]; info != nil {
		return info.SQL
	}
	return strconv.FormatUint(uint64(o), 10)
}

// String prints the type as format_type does.
func (t Type) String() string { return FormatType(t) }

// FormatType prints a type with its modifier as PostgreSQL's format_type does;
// "???" for an unknown OID, "-" for 0.
func FormatType(t Type) string {
	info := infoByOID[t.OID]
	switch {
	case t.OID == 0:
		return "-"
	case info == nil:
		return "???"
	case info.Category == 'A' && info.Len == -1 && strings.HasPrefix(info.Name, "_"):
		return FormatType(Type{info.Elem, t.Mod}) + "[]"
	case t.OID == BPCharOID && t.Mod < 0:
		return "bpchar" // bare "character" would mean character(1)
	case t.Mod < 0:
		return info.SQL
	}
	return formatWithMod(info, t)
}

func formatWithMod(info *Info, t Type) string {
	switch t.OID {
	case BPCharOID, VarcharOID:
		if t.Mod < 4 {
			return info.SQL
		}
		return fmt.Sprintf("%s(%d)", info.SQL, t.Mod-4)
	case NumericOID:
		if t.Mod < 4 {
			return info.SQL
		}
		precision, scale := NumericMod(t.Mod)
		return fmt.Sprintf("numeric(%d,%d)", precision, scale)
	case TimeOID, TimeTZOID, TimestampOID, TimestampTZOID:
		head, tail, _ := strings.Cut(info.SQL, " ")
		return fmt.Sprintf("%s(%d) %s", head, t.Mod, tail)
	case IntervalOID:
		return "interval" + formatIntervalMod(t.Mod)
	}
	return fmt.Sprintf("%s(%d)", info.SQL, t.Mod)
}

// NumericMod splits the modifier of numeric(precision, scale); scale may be negative.
func NumericMod(mod int32) (precision, scale int) {
	packed := mod - 4
	scale = int(packed & 0x7ff)
	return int(packed>>16) & 0xffff, (scale ^ 1024) - 1024
}

// ParseTypeName reads a type's SQL spelling, such as "character varying(20)",
// "numeric(10,2)[]" or "timestamp(3) with time zone"; 42704 if there is none of that name.
func ParseTypeName(s string) (Type, error) {
	name, quoted, rest := cutTypeWord(strings.TrimSpace(s))
	dims := 0
	for strings.HasSuffix(rest, "]") {
		open := strings.LastIndexByte(rest, '[')
		if open < 0 || strings.Trim(rest[open+1:len(rest)-1], " 0123456789") != "" {
			return Type{}, Errorf("42601", "invalid type name \"%s\"", s)
		}
		rest = strings.TrimSpace(rest[:open])
		dims++
	}
	var mods []int64
	if open := strings.IndexByte(rest, '('); open >= 0 {
		end := strings.IndexByte(rest, ')')
		if end < open {
			return Type{}, Errorf("42601", "invalid type name \"%s\"", s)
		}
		for arg := range strings.SplitSeq(rest[open+1:end], ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(arg), 10, 32)
			if err != nil {
				return Type{}, Errorf("42601", "invalid type name \"%s\"", s)
			}
			mods = append(mods, n)
		}
		rest = strings.TrimSpace(rest[:open]) + " " + strings.TrimSpace(rest[end+1:])
	}
	return resolveTypeName(s, name, quoted, strings.Fields(strings.ToLower(rest)), mods, dims)
}

// cutTypeWord splits off a double-quoted name or pg_catalog prefix; what follows it is rest.
func cutTypeWord(s string) (name string, quoted bool, rest string) {
	s = strings.TrimPrefix(s, "pg_catalog.")
	if strings.HasPrefix(s, `"`) {
		if end := strings.IndexByte(s[1:], '"'); end >= 0 {
			return s[1 : end+1], true, strings.TrimSpace(s[end+2:])
		}
	}
	return "", false, s
}

func resolveTypeName(s, name string, quoted bool, words []string, mods []int64, dims int) (Type, error) {
	if !quoted {
		name = strings.Join(words, " ")
	} else if len(words) > 0 {
		return Type{}, Errorf("42601", "invalid type name \"%s\"", s)
	}
	if rest, ok := strings.CutPrefix(name, "interval"); ok && !quoted {
		if fields := intervalFields(rest); fields != 0 {
			name, mods = "interval", append([]int64{int64(fields)}, mods...)
		}
	}
	oid, ok := aliases[name]
	if quoted || !ok {
		info := infoByName[name]
		if info == nil {
			return Type{}, Errorf("42704", "type \"%s\" does not exist", s)
		}
		oid = info.OID
	}
	if !quoted && oid == BPCharOID && name != "bpchar" && mods == nil {
		mods = []int64{1}
	}
	mod, err := ParseTypmod(oid, mods)
	if err != nil {
		return Type{}, err
	}
	if dims > 0 {
		if oid = ArrayOf(oid); oid == 0 {
			return Type{}, Errorf("42704", "type \"%s\" does not exist", s)
		}
	}
	return Type{oid, mod}, nil
}
