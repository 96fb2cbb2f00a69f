package builtin

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/bits"
	"strings"

	"github.com/heliosdb/helios/types"
)

func byteaFuncs() map[string]evalFunc {
	length := plain(func(a []types.Value) types.Value { return types.Int(int64(len(a[0].AsBytes()))) })
	digest := func(f func(b []byte) []byte) evalFunc {
		return plain(func(a []types.Value) types.Value { return types.Bytes(f(a[0].AsBytes())) })
	}
	cut := func(f func(s []byte, set string) []byte) evalFunc {
		return plain(func(a []types.Value) types.Value {
			set := a[1].AsBytes()
			out := a[0].AsBytes()
			for len(out) > 0 && len(f(out, string(set))) < len(out) {
				out = f(out, string(set))
			}
			return types.Bytes(out)
		})
	}
	first := func(s []byte, set string) []byte {
		if strings.IndexByte(set, s[0]) >= 0 {
			return s[1:]
		}
		return s
	}
	last := func(s []byte, set string) []byte {
		if strings.IndexByte(set, s[len(s)-1]) >= 0 {
			return s[:len(s)-1]
		}
		return s
	}
	return map[string]evalFunc{
		"length(bytea)": length, "octet_length(bytea)": length,
		"bit_length(bytea)": plain(func(a []types.Value) types.Value { return types.Int(int64(8 * len(a[0].AsBytes()))) }),
		"byteacat": plain(func(a []types.Value) types.Value {
			return types.Bytes(bytes.Join([][]byte{a[0].AsBytes(), a[1].AsBytes()}, nil))
		}),
		"substr(bytea,int4)": substringBytes, "substr(bytea,int4,int4)": substringBytes,
		"substring(bytea,int4)": substringBytes, "substring(bytea,int4,int4)": substringBytes,
		"position(bytea,bytea)": plain(func(a []types.Value) types.Value {
			return types.Int(int64(bytes.Index(a[0].AsBytes(), a[1].AsBytes()) + 1))
		}),
		"btrim(bytea,bytea)": cut(func(s []byte, set string) []byte {
			if s = first(s, set); len(s) > 0 {
				s = last(s, set)
			}
			return s
		}),
		"ltrim(bytea,bytea)": cut(first), "rtrim(bytea,bytea)": cut(last),
		"get_byte": getByte, "set_byte": setByte, "get_bit(bytea,int8)": getBit,
		"bit_count(bytea)": plain(func(a []types.Value) types.Value {
			n := 0
			for _, b := range a[0].AsBytes() {
				n += bits.OnesCount8(b)
			}
			return types.Int(int64(n))
		}),
		"sha224": digest(func(b []byte) []byte { s := sha256.Sum224(b); return s[:] }),
		"sha256": digest(func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }),
		"sha384": digest(func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }),
		"sha512": digest(func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }),
		"encode": encodeBytes, "decode": decodeText,
		"convert_from": func(_ *Context, a []types.Value) (types.Value, error) {
			if err := onlyUTF8(a[1].AsText()); err != nil {
				return types.Null, err
			}
			s := string(a[0].AsBytes())
			return types.Text(s), types.CheckUTF8(s)
		},
		"convert_to": func(_ *Context, a []types.Value) (types.Value, error) {
			return types.Bytes([]byte(a[0].AsText())), onlyUTF8(a[1].AsText())
		},
	}
}

func onlyUTF8(encoding string) error {
	switch strings.ToLower(strings.ReplaceAll(encoding, "-", "")) {
	case "utf8", "unicode":
		return nil
	}
	return types.Errorf("0A000", "encoding \"%s\" is not supported", encoding).WithHint("Helios keeps text in UTF8 only.")
}

func substringBytes(_ *Context, a []types.Value) (types.Value, error) {
	b, start := a[0].AsBytes(), a[1].AsInt()-1
	end := int64(len(b))
	if len(a) > 2 {
		if a[2].AsInt() < 0 {
			return types.Null, errSubstring
		}
		end = min(end, start+a[2].AsInt())
	}
	start = min(max(start, 0), int64(len(b)))
	return types.Bytes(b[start:max(start, end)]), nil
}

func byteIndex(b []byte, i int64, bits int64) error {
	if last := int64(len(b))*bits - 1; i < 0 || i > last {
		return types.Errorf("2202E", "index %d out of valid range, 0..%d", i, last)
	}
	return nil
}

func getByte(_ *Context, a []types.Value) (types.Value, error) {
	b, i := a[0].AsBytes(), a[1].AsInt()
	if err := byteIndex(b, i, 1); err != nil {
		return types.Null, err
	}
	return types.Int(int64(b[i])), nil
}

func setByte(_ *Context, a []types.Value) (types.Value, error) {
	b, i := bytes.Clone(a[0].AsBytes()), a[1].AsInt()
	if err := byteIndex(b, i, 1); err != nil {
		return types.Null, err
	}
	b[i] = byte(a[2].AsInt())
	return types.Bytes(b), nil
}

func getBit(_ *Context, a []types.Value) (types.Value, error) {
	b, i := a[0].AsBytes(), a[1].AsInt()
	if err := byteIndex(b, i, 8); err != nil {
		return types.Null, err
	}
	return types.Int(int64(b[i/8] >> (i % 8) & 1)), nil
}

func encodeBytes(_ *Context, a []types.Value) (types.Value, error) {
	b := a[0].AsBytes()
	switch strings.ToLower(a[1].AsText()) {
	case "hex":
		return types.Text(hex.EncodeToString(b)), nil
	case "escape":
		return types.Text(escapeBytes(b)), nil
	case "base64":
		text := base64.StdEncoding.EncodeToString(b)
		var lines []string
		for len(text) > 76 {
			lines, text = append(lines, text[:76]), text[76:]
		}
		return types.Text(strings.Join(append(lines, text), "\n")), nil
	}
	return types.Null, types.Errorf("22023", "unrecognized encoding: \"%s\"", a[1].AsText())
}

// escapeBytes is encode(…, 'escape'): only zero bytes, bytes above 127 and backslashes are escaped.
func escapeBytes(b []byte) string {
	var out []byte
	for _, c := range b {
		switch {
		case c == 0 || c > 0x7f:
			out = append(out, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		case c == '\\':
			out = append(out, '\\', '\\')
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func decodeText(_ *Context, a []types.Value) (types.Value, error) {
	s := a[0].AsText()
	switch strings.ToLower(a[1].AsText()) {
	case "hex":
		b, err := types.DecodeHex(s)
		return types.Bytes(b), err
	case "escape":
		return types.ParseText(types.T(types.ByteaOID), strings.TrimPrefix(s, `\x`), nil)
	case "base64":
		packed := strings.Join(strings.Fields(s), "")
		b, err := base64.StdEncoding.DecodeString(packed)
		if err != nil {
			return types.Null, types.Errorf("22023", "invalid base64 end sequence").
				WithHint("Input data is missing padding, is truncated, or is otherwise corrupted.")
		}
		return types.Bytes(b), nil
	}
	return types.Null, types.Errorf("22023", "unrecognized encoding: \"%s\"", a[1].AsText())
}

// bitFuncs work on bit strings, held as text of 0 and 1.
func bitFuncs() map[string]evalFunc {
	each := func(f func(x, y byte) byte, name string) evalFunc {
		return onTexts(func(s, t string) (types.Value, error) {
			if len(s) != len(t) {
				return types.Null, types.Errorf("22026", "cannot %s bit strings of different sizes", name)
			}
			out := []byte(s)
			for i := range out {
				out[i] = '0' + f(s[i]-'0', t[i]-'0')
			}
			return types.Text(string(out)), nil
		})
	}
	shift := func(toLeft bool) evalFunc {
		return plain(func(a []types.Value) types.Value {
			s, n := a[0].AsText(), a[1].AsInt()
			if (n < 0) == toLeft {
				n = min(max(n, -n), int64(len(s)))
				return types.Text(strings.Repeat("0", int(n)) + s[:len(s)-int(n)])
			}
			n = min(max(n, -n), int64(len(s)))
			return types.Text(s[n:] + strings.Repeat("0", int(n)))
		})
	}
	length := plain(func(a []types.Value) types.Value { return types.Int(int64(len(a[0].AsText()))) })
	return map[string]evalFunc{
		"bitand": each(func(x, y byte) byte { return x & y }, "AND"),
		"bitor":  each(func(x, y byte) byte { return x | y }, "OR"),
		"bitxor": each(func(x, y byte) byte { return x ^ y }, "XOR"),
		"bitnot": onText(func(s string) (types.Value, error) {
			return types.Text(strings.NewReplacer("0", "1", "1", "0").Replace(s)), nil
		}),
		"bitcat":       onTexts(func(s, t string) (types.Value, error) { return types.Text(s + t), nil }),
		"bitshiftleft": shift(true), "bitshiftright": shift(false),
		"length(bit)": length, "bit_length(bit)": length,
		"octet_length(bit)": plain(func(a []types.Value) types.Value { return types.Int(int64(len(a[0].AsText())+7) / 8) }),
		"bit_count(bit)":    onText(func(s string) (types.Value, error) { return types.Int(int64(strings.Count(s, "1"))), nil }),
	}
}
