package types

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// MaxVectorDims is the most dimensions a vector may have.
const MaxVectorDims = 16000

// CheckVector refuses what pgvector refuses in a vector: no or too many dimensions,
// NaN and infinite elements. Errors: 22000, 54000.
func CheckVector(v []float32) error {
	if len(v) < 1 {
		return Errorf("22000", "vector must have at least 1 dimension")
	}
	if len(v) > MaxVectorDims {
		return Errorf("54000", "vector cannot have more than %d dimensions", MaxVectorDims)
	}
	for _, x := range v {
		if x-x != 0 {
			return checkElement(x)
		}
	}
	return nil
}

func checkElement(x float32) error {
	if x != x {
		return Errorf("22000", "NaN not allowed in vector")
	}
	if math.IsInf(float64(x), 0) {
		return Errorf("22000", "infinite value not allowed in vector")
	}
	return nil
}

func appendVector(dst []byte, v []float32) []byte {
	dst = append(dst, '[')
	for i, x := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
	}
	return append(dst, ']')
}

// parseVector reads [x,y,…] (pgvector's vector_in).
func parseVector(s string) (Value, error) {
	bad := func() error { return badSyntax("vector", s) }
	i := spanOf(s, 0, isSpace)
	if i == len(s) || s[i] != '[' {
		return Null, badSyntax("vector", s).WithDetail("Vector contents must start with \"[\".")
	}
	i = spanOf(s, i+1, isSpace)
	if i < len(s) && s[i] == ']' {
		return Null, CheckVector(nil)
	}
	out := make([]float32, 0, min(MaxVectorDims, 1+strings.Count(s, ",")))
	for {
		if len(out) == MaxVectorDims {
			return Null, CheckVector(make([]float32, MaxVectorDims+1))
		}
		i = spanOf(s, i, isSpace)
		end := spanOf(s, i, func(c byte) bool { return c != ',' && c != ']' && !isSpace(c) })
		x, err := parseElement(s[i:end])
		if err != nil {
			return Null, err
		}
		if x == nil {
			return Null, bad()
		}
		out = append(out, *x)
		i = spanOf(s, end, isSpace)
		if i == len(s) {
			return Null, bad()
		}
		i++
		if s[i-1] == ']' {
			break
		}
		if s[i-1] != ',' {
			return Null, bad()
		}
	}
	if i = spanOf(s, i, isSpace); i != len(s) {
		return Null, badSyntax("vector", s).WithDetail("Junk after closing right brace.")
	}
	return Vector(out), nil
}

// parseElement reads one element; nil means bad syntax.
func parseElement(text string) (*float32, error) {
	if text == "" || strings.IndexByte(text, '_') >= 0 {
		return nil, nil
	}
	f, err := strconv.ParseFloat(text, 32)
	x := float32(f)
	if err != nil {
		if math.IsInf(f, 0) {
			return nil, Errorf("22003", "\"%s\" is out of range for type vector", text)
		}
		return nil, nil
	}
	return &x, checkElement(x)
}

// appendVectorBinary writes 16-bit dimensions, 16 zero bits and the elements, big-endian (vector_send).
func appendVectorBinary(dst []byte, v []float32) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v)))
	dst = append(dst, 0, 0)
	for _, x := range v {
		dst = binary.BigEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

func parseVectorBinary(b []byte) (Value, error) {
	if len(b) < 4 {
		return Null, errBinary("vector")
	}
	dims := int(int16(binary.BigEndian.Uint16(b)))
	if unused := int16(binary.BigEndian.Uint16(b[2:])); unused != 0 {
		return Null, Errorf("22000", "expected unused to be 0, not %d", unused)
	}
	if dims < 1 {
		return Null, CheckVector(nil)
	}
	if dims > MaxVectorDims {
		return Null, CheckVector(make([]float32, dims))
	}
	if len(b) != 4+4*dims {
		return Null, errBinary("vector")
	}
	out := make([]float32, dims)
	for i := range out {
		out[i] = math.Float32frombits(binary.BigEndian.Uint32(b[4+4*i:]))
	}
	return Vector(out), CheckVector(out)
}
