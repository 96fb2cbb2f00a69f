package types

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"
)

// generators make values of each type, edge cases often.
var generators = map[OID]*rapid.Generator[Value]{
	BoolOID: rapid.Map(rapid.Bool(), Bool),
	Int2OID: rapid.Map(rapid.Int16(), func(i int16) Value { return Int(int64(i)) }),
	Int4OID: rapid.Map(rapid.Int32(), func(i int32) Value { return Int(int64(i)) }),
	Int8OID: rapid.Map(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-300, 300)), Int),
	Float8OID: rapid.Map(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
		0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 1e-320,
	})), Float),
	NumericOID:     rapid.Custom(drawNumeric),
	TextOID:        rapid.Map(rapid.OneOf(rapid.String(), rapid.StringMatching(`[ab\x01]{0,4}`)), Text),
	ByteaOID:       rapid.Map(rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 255}), 0, 4)), Bytes),
	UUIDOID:        rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), Bytes),
	DateOID:        rapid.Map(rapid.Int64Range(minDate, endDate-1), Date),
	TimeOID:        rapid.Map(rapid.Int64Range(0, MicrosPerDay), Time),
	TimestampOID:   rapid.Map(rapid.Int64Range(minTimestamp, endTimestamp-1), Timestamp),
	TimestampTZOID: rapid.Map(rapid.OneOf(rapid.Int64Range(minTimestamp, endTimestamp-1), rapid.SampledFrom([]int64{TimestampInfinity, TimestampNegInfinity})), Timestamp),
	TimeTZOID: rapid.Custom(func(t *rapid.T) Value {
		return TimeTZ(rapid.Int64Range(0, MicrosPerDay).Draw(t, "micros"), rapid.Int32Range(-57599, 57599).Draw(t, "zone"))
	}),
	IntervalOID: rapid.Custom(func(t *rapid.T) Value {
		small := rapid.Int32Range(-3, 3)
		return IntervalValue(Interval{
			Months: rapid.OneOf(rapid.Int32(), small).Draw(t, "months"),
			Days:   rapid.OneOf(rapid.Int32(), rapid.Int32Range(-90, 90)).Draw(t, "days"),
			Micros: rapid.OneOf(rapid.Int64(), rapid.Map(small, func(i int32) int64 { return int64(i) * MicrosPerDay })).Draw(t, "micros"),
		})
	}),
	VectorOID: rapid.Map(rapid.SliceOfN(rapid.OneOf(rapid.Float32(), rapid.SampledFrom([]float32{0, 1, -1})), 1, 5), Vector),
	JSONBOID:  rapid.Map(rapid.Custom(func(t *rapid.T) JSON { return drawJSON(t, 3) }), JSON.Value),
}

func drawNumeric(t *rapid.T) Value {
	if special := rapid.IntRange(0, 20).Draw(t, "special"); special < 3 {
		return Numeric([]*apd.Decimal{numericNaN, numericInf, numericNInf}[special])
	}
	d := apd.New(rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, 1000)).Draw(t, "coefficient"), 0)
	if d.Coeff.Sign() < 0 {
		d.Coeff.Abs(&d.Coeff)
		d.Negative = true
	}
	d.Exponent = -rapid.Int32Range(0, 30).Draw(t, "scale")
	v, err := CheckNumeric(d)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func drawJSON(t *rapid.T, depth int) JSON {
	switch kind := JSONKind(rapid.IntRange(0, 5).Draw(t, "kind")); {
	case kind == JSONString || depth == 0:
		return JSON{Kind: JSONString, Str: rapid.StringMatching(`[a-c"\\é]{0,3}`).Draw(t, "string")}
	case kind == JSONNumber:
		d := drawNumeric(t)
		if d.AsNumeric().Form != apd.Finite {
			return JSON{}
		}
		return JSON{Kind: JSONNumber, Num: d.AsNumeric()}
	case kind == JSONBool:
		return JSON{Kind: JSONBool, Bool: rapid.Bool().Draw(t, "bool")}
	case kind == JSONArray || kind == JSONObject:
		var keys []string
		var elems []JSON
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			keys = append(keys, rapid.StringMatching(`[ab]{0,2}`).Draw(t, "key"))
			elems = append(elems, drawJSON(t, depth-1))
		}
		if kind == JSONArray {
			return JSON{Kind: JSONArray, Elems: elems}
		}
		return NewJSONObject(keys, elems)
	}
	return JSON{}
}

// drawTyped draws a type (arrays among them) and n values of it.
func drawTyped(t *rapid.T, n int) (Type, []Value) {
	oids := []OID{
		BoolOID, Int2OID, Int4OID, Int8OID, Float8OID, NumericOID, TextOID, ByteaOID, UUIDOID, DateOID,
		TimeOID, TimeTZOID, TimestampOID, TimestampTZOID, IntervalOID, VectorOID, JSONBOID,
	}
	oid := rapid.SampledFrom(oids).Draw(t, "type")
	array := rapid.IntRange(0, 3).Draw(t, "array") == 0
	values := make([]Value, n)
	for i := range values {
		if !array {
			values[i] = generators[oid].Draw(t, "value")
			continue
		}
		elems := rapid.SliceOfN(rapid.OneOf(generators[oid], rapid.Just(Null)), 0, 4).Draw(t, "elements")
		values[i] = NewArray(oid, elems)
	}
	if array {
		return T(ArrayOf(oid)), values
	}
	return T(oid), values
}

func TestKeyOrderIsValueOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ, values := drawTyped(t, 12)
		desc := rapid.Bool().Draw(t, "desc")
		for i, v := range values {
			for _, w := range values[i:] {
				checkKeyOrder(t, typ, v, w, desc)
			}
		}
	})
}

func checkKeyOrder(t *rapid.T, typ Type, v, w Value, desc bool) {
	want := Compare(v, w)
	if desc {
		want = -want
	}
	a, b := AppendKey(nil, v, desc, false), AppendKey(nil, w, desc, false)
	if got := bytes.Compare(a, b); got != want {
		t.Fatalf("%s: keys of %s and %s compare %d, values %d", typ, ToText(typ, v), ToText(typ, w), got, want)
	}
	if want != 0 && (bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a)) {
		t.Fatalf("%s: one key is a prefix of the other", typ)
	}
	if want == 0 && HashValue(v) != HashValue(w) {
		t.Fatalf("%s: equal values %s, %s hash apart", typ, ToText(typ, v), ToText(typ, w))
	}
	if want == 0 && !bytes.Equal(AppendCanonical(nil, v, typ), AppendCanonical(nil, w, typ)) {
		t.Fatalf("%s: equal values %s, %s are placed apart", typ, ToText(typ, v), ToText(typ, w))
	}
	for _, first := range []bool{true, false} {
		null := AppendKey(nil, Null, desc, first)
		if got := bytes.Compare(null, a) < 0; got != first {
			t.Fatalf("%s: NULL first = %v, want %v", typ, got, first)
		}
	}
}

func TestKeyDecodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ, v := drawTyped(t, 1)
		desc := rapid.Bool().Draw(t, "desc")
		key := append(AppendKey(nil, v[0], desc, true), "rest"...)
		got, rest, err := DecodeKey(key, typ, desc)
		if err != nil || string(rest) != "rest" {
			t.Fatalf("%s %s: rest %q, error %v", typ, ToText(typ, v[0]), rest, err)
		}
		if Compare(got, v[0]) != 0 && !outOfInterval(typ) {
			t.Fatalf("%s: %s decodes as %s", typ, ToText(typ, v[0]), ToText(typ, got))
		}
		if KeyIsExact(typ) && ToText(typ, got) != ToText(typ, v[0]) {
			t.Fatalf("%s: %s decodes as %s though exact", typ, ToText(typ, v[0]), ToText(typ, got))
		}
		if rest, err := SkipKey(key, typ, desc); err != nil || string(rest) != "rest" {
			t.Fatalf("%s: skipping leaves %q, error %v", typ, rest, err)
		}
		record := AppendKey(nil, Record([]Value{v[0], Null}), desc, true)
		if rest, err := SkipKey(append(record, "rest"...), T(RecordOID), desc); err != nil || string(rest) != "rest" {
			t.Fatalf("record of %s: skipping leaves %q, error %v", typ, rest, err)
		}
		for cut := range key[:len(key)-len("rest")] {
			DecodeKey(key[:cut], typ, desc) // damage must not panic
		}
	})
}

// outOfInterval says that spans near the limits of interval have no normal form that fits.
func outOfInterval(t Type) bool {
	return t.OID == IntervalOID || t.OID == ArrayOf(IntervalOID)
}

func TestTextAndBinaryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ, v := drawTyped(t, 1)
		text := ToText(typ, v[0])
		if v[0].Kind() == KindText && bytes.IndexByte(v[0].AsBytes(), 0) >= 0 {
			return
		}
		got, err := ParseText(typ, text, nil)
		if err != nil || ToText(typ, got) != text || Compare(got, v[0]) != 0 {
			if err == nil || CodeOf(err) != "22021" {
				t.Fatalf("%s: %q reads back as %q, error %v", typ, text, ToText(typ, got), err)
			}
			return
		}
		got, err = ParseBinary(typ, AppendBinary(nil, typ, v[0]))
		if err != nil || ToText(typ, got) != text {
			t.Fatalf("%s: %q through binary is %q, error %v", typ, text, ToText(typ, got), err)
		}
	})
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "columns")
		columns, row, need := make([]Type, n), make(Row, n), make([]bool, n)
		for i := range columns {
			var v []Value
			columns[i], v = drawTyped(t, 1)
			row[i] = v[0]
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				row[i] = Null
			}
			if rapid.IntRange(0, 5).Draw(t, "record") == 0 {
				row[i], columns[i] = RecordOf([]Value{row[i], Int(7)}, []Type{columns[i], T(Int4OID)}), T(RecordOID)
			}
			need[i] = rapid.Bool().Draw(t, "need")
		}
		code := AppendRow(nil, columns, row)
		added := append(append([]Type{}, columns...), T(TextOID))
		got := make(Row, n+1)
		stored, err := DecodeRow(got, code, added, nil)
		if err != nil || stored != n {
			t.Fatalf("stored %d, want %d, error %v", stored, n, err)
		}
		partial := make(Row, n)
		if _, err := DecodeRow(partial, code, columns, need); err != nil {
			t.Fatal(err)
		}
		for i := range row {
			if ToText(columns[i], got[i]) != ToText(columns[i], row[i]) || got[i].IsNull() != row[i].IsNull() {
				t.Fatalf("column %d %s: %s, want %s", i, columns[i], ToText(columns[i], got[i]), ToText(columns[i], row[i]))
			}
			if need[i] != (partial[i].Kind() == row[i].Kind() && !partial[i].IsNull()) && !row[i].IsNull() {
				t.Fatalf("column %d: needed %v, is %v", i, need[i], partial[i].Kind())
			}
		}
		for cut := range code {
			if _, err := DecodeRow(got, code[:cut], columns, nil); err == nil {
				t.Fatalf("a row cut to %d of %d bytes decodes", cut, len(code))
			}
		}
	})
}

func FuzzParseText(f *testing.F) {
	for _, s := range []string{"1", "1e5", "{1,2}", "[1,2]", `{"a":[1]}`, "2024-01-01 10:00:00+02", "1 day 2:03", "P1Y", `\x00`, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "[1:2]={1,2}", "\xff"} {
		f.Add(s, uint16(0))
	}
	f.Fuzz(func(t *testing.T, s string, pick uint16) {
		info := &builtinTypes[int(pick)%len(builtinTypes)]
		typ := T(info.OID)
		v, err := ParseText(typ, s, nil)
		if err != nil {
			return
		}
		text := ToText(typ, v)
		again, err := ParseText(typ, text, nil)
		if err != nil || ToText(typ, again) != text {
			t.Fatalf("%s: %q prints as %q, which reads as %q, error %v", typ, s, text, ToText(typ, again), err)
		}
		AppendKey(nil, v, false, false)
		HashValue(v)
	})
}

func FuzzParseBinary(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 42}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, pick uint16) {
		typ := T(builtinTypes[int(pick)%len(builtinTypes)].OID)
		v, err := ParseBinary(typ, b)
		if err != nil {
			return
		}
		AppendText(nil, typ, v, nil)
		AppendRow(nil, []Type{typ}, Row{v})
		DecodeKey(b, typ, false)
		DecodeRow(make(Row, 3), b, []Type{typ, typ, typ}, nil)
	})
}

// TestCanonicalGolden freezes the hash that places rows: changing it moves every row.
func TestCanonicalGolden(t *testing.T) {
	for _, c := range []struct {
		v    Value
		t    Type
		want uint64
	}{
		{Text(""), T(TextOID), 0xef46db3751d8e999},
		{Text("a"), T(TextOID), 0xd24ec4f1a98c6e5b},
		{Text("tenant-42"), T(VarcharOID), 0xf9fbb9a903514f40},
		{Int(42), T(Int4OID), 0xb556806fb6d14353},
		{Int(42), T(Int8OID), 0xb556806fb6d14353},
	} {
		if got := xxhash.Sum64(AppendCanonical(nil, c.v, c.t)); got != c.want {
			t.Errorf("%s %s: %016x, want %016x", c.t, ToText(c.t, c.v), got, c.want)
		}
	}
	one, _ := ParseNumeric("1.50")
	two, _ := ParseNumeric("1.5000")
	if got, want := string(AppendCanonical(nil, one, T(NumericOID))), string(AppendCanonical(nil, two, T(NumericOID))); got != want || got != "1.5" {
		t.Errorf("numeric 1.50 is %q, 1.5000 is %q", got, want)
	}
	row := AppendCanonicalRow(nil, []Value{Int(1), Text("ab"), Null}, []Type{T(Int4OID), T(TextOID), T(TextOID)})
	want := binary.LittleEndian.AppendUint32(nil, 8)
	want = append(binary.LittleEndian.AppendUint64(want, 1), 2, 0, 0, 0, 'a', 'b', 255, 255, 255, 255)
	if !bytes.Equal(row, want) {
		t.Errorf("composite (1, ab, NULL) is %x, want %x", row, want)
	}
}

// TestVectorInput holds pgvector's own answers.
func TestVectorInput(t *testing.T) {
	big := "[" + string(bytes.Repeat([]byte("1,"), MaxVectorDims)) + "1]"
	for _, c := range []struct{ in, out string }{
		{"[1,2,3]", "[1,2,3]"},
		{" [ 1.5 , -2e3, 1e6 ] ", "[1.5,-2000,1e+06]"},
		{"1,2", `ERROR 22P02: invalid input syntax for type vector: "1,2" DETAIL: Vector contents must start with "[".`},
		{"[]", "ERROR 22000: vector must have at least 1 dimension"},
		{"[1,2", `ERROR 22P02: invalid input syntax for type vector: "[1,2"`},
		{"[1,,2]", `ERROR 22P02: invalid input syntax for type vector: "[1,,2]"`},
		{"[1]2", `ERROR 22P02: invalid input syntax for type vector: "[1]2" DETAIL: Junk after closing right brace.`},
		{"[a]", `ERROR 22P02: invalid input syntax for type vector: "[a]"`},
		{"[NaN]", "ERROR 22000: NaN not allowed in vector"},
		{"[Infinity]", "ERROR 22000: infinite value not allowed in vector"},
		{"[1e39]", `ERROR 22003: "1e39" is out of range for type vector`},
		{"[1e400]", `ERROR 22003: "1e400" is out of range for type vector`},
		{big, "ERROR 54000: vector cannot have more than 16000 dimensions"},
	} {
		v, err := ParseText(T(VectorOID), c.in, nil)
		got := ToText(T(VectorOID), v)
		if err != nil {
			got = formatError(AsError(err))
		}
		if got != c.out {
			t.Errorf("%.40q: got %q, want %q", c.in, got, c.out)
		}
	}
	_, err := Coerce(Vector([]float32{1, 2}), Type{VectorOID, 3}, false)
	if got, want := formatError(AsError(err)), "ERROR 22000: expected 3 dimensions, not 2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
