package builtin

import (
	"strings"

	"github.com/heliosdb/helios/types"
)

// SplitIdent splits a qualified identifier at its points: quoted parts keep their
// case, others fold to lower. Errors: 22023. What follows the last part is rest.
func SplitIdent(s string) (parts []string, rest string, err error) {
	bad := func(detail string, args ...any) ([]string, string, error) {
		e := types.Errorf("22023", "string is not a valid identifier: \"%s\"", s)
		if detail != "" {
			e = e.WithDetail(detail, args...)
		}
		return nil, "", e
	}
	rest = strings.TrimLeft(s, " \t\n\r\f\v")
	for {
		part := ""
		switch {
		case strings.HasPrefix(rest, `"`):
			var b strings.Builder
			i, closed := 1, false
			for ; i < len(rest) && !closed; i++ {
				switch {
				case rest[i] != '"':
					b.WriteByte(rest[i])
				case i+1 < len(rest) && rest[i+1] == '"':
					b.WriteByte('"')
					i++
				default:
					closed = true
				}
			}
			if !closed {
				return bad("String has unclosed double quotes.")
			}
			if part = b.String(); part == "" {
				return bad("Quoted identifier must not be empty.")
			}
			rest = rest[i:]
		default:
			end := 0
			for end < len(rest) && identByte(rest[end], end > 0) {
				end++
			}
			if end == 0 {
				switch {
				case len(parts) > 0:
					return bad("No valid identifier after \".\".")
				case strings.HasPrefix(rest, "."):
					return bad("No valid identifier before \".\".")
				}
				return bad("")
			}
			part, rest = strings.ToLower(rest[:end]), rest[end:]
		}
		parts = append(parts, types.TruncateName(part))
		rest = strings.TrimLeft(rest, " \t\n\r\f\v")
		if !strings.HasPrefix(rest, ".") {
			return parts, rest, nil
		}
		rest = strings.TrimLeft(rest[1:], " \t\n\r\f\v")
	}
}

func identByte(c byte, inside bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 || inside && (c >= '0' && c <= '9' || c == '$')
}

func parseIdent(_ *Context, a []types.Value) (types.Value, error) {
	parts, rest, err := SplitIdent(a[0].AsText())
	if err != nil {
		return types.Null, err
	}
	if rest != "" && a[1].AsBool() {
		return types.Null, types.Errorf("22023", "string is not a valid identifier: \"%s\"", a[0].AsText())
	}
	return textArray(parts), nil
}
