package types

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The answers in testdata/text come from PostgreSQL 15. To ask it again:
//
//	HELIOS_POSTGRES='host=… dbname=postgres' go test ./types -run TestText -rewrite
func postgres(t *testing.T) *pgconn.PgConn {
	dsn := os.Getenv("HELIOS_POSTGRES")
	if dsn == "" {
		return nil
	}
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn.PgConn()
}

// askPostgres converts a literal on the real server, to text and to binary.
func askPostgres(conn *pgconn.PgConn, typeName, literal, zone string, format int16) string {
	ctx := context.Background()
	if zone != "" {
		if _, err := conn.Exec(ctx, "SET timezone = '"+zone+"'").ReadAll(); err != nil {
			return err.Error()
		}
	}
	quoted := "'" + strings.ReplaceAll(literal, "'", "''") + "'"
	res := conn.ExecParams(ctx, "SELECT "+quoted+"::"+typeName, nil, nil, nil, []int16{format}).Read()
	if res.Err != nil {
		var e *pgconn.PgError
		if errors.As(res.Err, &e) {
			return formatError(&Error{Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint})
		}
		return res.Err.Error()
	}
	return string(res.Rows[0][0])
}

func formatError(e *Error) string {
	out := "ERROR " + e.Code + ": " + e.Message
	if e.Detail != "" {
		out += " DETAIL: " + e.Detail
	}
	if e.Hint != "" {
		out += " HINT: " + e.Hint
	}
	return out
}

// TestText reads each input line as a literal of the type and prints it again: as
// text, and through the binary form, which must agree.
func TestText(t *testing.T) {
	conn := postgres(t)
	datadriven.Walk(t, "testdata/text", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			zone, typeName := "", ""
			for _, arg := range d.CmdArgs {
				switch arg.Key {
				case "zone":
					zone = arg.Vals[0]
				default:
					typeName = strings.TrimSpace(typeName + " " + arg.Key)
				}
			}
			if d.Cmd == "type" && len(d.CmdArgs) == 0 {
				t.Fatalf("%s: no type", d.Pos)
			}
			typeName = strings.NewReplacer("char_quoted", "\"char\"", "interval_", "interval ").Replace(typeName)
			var out strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				literal := strings.NewReplacer(`\t`, "\t", `\e`, "").Replace(line)
				if conn != nil {
					out.WriteString(askPostgres(conn, typeName, literal, zone, 0))
				} else {
					out.WriteString(roundTrip(t, typeName, literal, zone))
				}
				out.WriteByte('\n')
			}
			return out.String()
		})
	})
}

func roundTrip(t *testing.T, typeName, literal, zone string) string {
	set := &Settings{}
	if zone != "" {
		loc, err := LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		set.Location = loc
	}
	typ, err := ParseTypeName(typeName)
	if err != nil {
		return formatError(AsError(err))
	}
	base := Type{typ.OID, -1}
	if typ.OID == IntervalOID {
		base = typ
	}
	v, err := ParseText(base, literal, set)
	if err == nil {
		v, err = Coerce(v, typ, true)
	}
	if err != nil {
		return formatError(AsError(err))
	}
	text := string(AppendText(nil, typ, v, set))
	again, err := ParseBinary(typ, AppendBinary(nil, typ, v))
	if err != nil {
		t.Errorf("%s %q: binary form does not read back: %v", typeName, literal, err)
	} else if got := string(AppendText(nil, typ, again, set)); got != text {
		t.Errorf("%s %q: binary form reads back as %q, text is %q", typeName, literal, got, text)
	}
	back, err := ParseText(typ, text, set)
	if err != nil || Compare(back, v) != 0 {
		t.Errorf("%s %q: text form %q reads back as %q, %v", typeName, literal, text, ToText(typ, back), err)
	}
	return text
}
