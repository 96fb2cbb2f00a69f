package sql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/heliosdb/helios/types"
)

func TestParseErrors(t *testing.T) {
	for _, tc := range []struct {
		text, code, message string
		position            int
	}{
		{"SELEC 1", "42601", `syntax error at or near "SELEC"`, 1},
		{"SELECT 1; SELECT FROM WHERE", "42601", `syntax error at or near "WHERE"`, 23},
		{"SELECT 'ü' 🙂 x y", "42601", `syntax error at or near "x"`, 14},
		{"SELECT (", "42601", "syntax error at end of input", 9},
		{"SELECT 'abc", "42601", `unterminated quoted string at or near "'abc"`, 8},
		{"SELECT \x00", "22021", `invalid byte sequence for encoding "UTF8": 0x00`, 0},
		{"SELECT 'a\xff'", "22021", `invalid byte sequence for encoding "UTF8": 0xff`, 0},
		{"SELECT 1 FROM a.b.c.d", "42601", "improper qualified name (too many dotted names): a.b.c.d", 15},
		{"SELECT E'\\u00'", "22025", "invalid Unicode escape", 10},
	} {
		_, err := Parse(tc.text)
		var e *types.Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q) = %v, want %s", tc.text, err, tc.code)
			continue
		}
		if e.Code != tc.code || e.Message != tc.message || e.Position != tc.position {
			t.Errorf("Parse(%q) = %s %q at %d, want %s %q at %d",
				tc.text, e.Code, e.Message, e.Position, tc.code, tc.message, tc.position)
		}
	}
}

func TestParseSplits(t *testing.T) {
	const text = " ;; SELECT 1 ;\n-- note\n  SELECT ';' /* ; */; ;COMMIT"
	parsed, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range parsed {
		got = append(got, p.Text)
		if text[p.Offset:p.Offset+len(p.Text)] != p.Text {
			t.Errorf("%q is not at offset %d", p.Text, p.Offset)
		}
	}
	if want := []string{"SELECT 1", "-- note\n  SELECT ';' /* ; */", "COMMIT"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("statements are %q, want %q", got, want)
	}
	for _, empty := range []string{"", ";", " -- comment", "/* a */;"} {
		if parsed, err := Parse(empty); err != nil || len(parsed) != 0 {
			t.Errorf("Parse(%q) = %v, %v, want nothing", empty, parsed, err)
		}
	}
}

func TestPositions(t *testing.T) {
	parsed, err := Parse("SELECT 1;  SELECT a, nope(b) FROM t WHERE c = $1")
	if err != nil {
		t.Fatal(err)
	}
	p := parsed[1]
	Inspect(p.Statement, func(n any) bool {
		e, ok := n.(Expr)
		if !ok || e.Pos() < 0 {
			return true
		}
		want := map[string]string{
			"*sql.FuncCall": "nope(", "*sql.Op": "= $1", "*sql.Param": "$1",
		}[fmt.Sprintf("%T", n)]
		if !strings.HasPrefix(p.Text[e.Pos():], want) {
			t.Errorf("%T is at %q, want %q", n, p.Text[e.Pos():], want)
		}
		return true
	})
}

// TestGuard holds that no text ends the process: what is too deep is refused, what is
// only long is not.
func TestGuard(t *testing.T) {
	refused := map[string]string{
		"sum of 25,000":       "SELECT " + strings.Repeat("1+", 25_000) + "1",
		"casts":               "SELECT 1" + strings.Repeat("::int", 30_000),
		"is null":             "SELECT 1" + strings.Repeat(" IS NULL", 40_000),
		"concatenation":       "SELECT a" + strings.Repeat("||a", 30_000),
		"collate":             "SELECT a" + strings.Repeat(` COLLATE "C"`, 30_000),
		"100,000 parentheses": "SELECT " + strings.Repeat("(", 100_000) + "1" + strings.Repeat(")", 100_000),
		"100,000 brackets":    "SELECT ARRAY" + strings.Repeat("[", 100_000),
		"not":                 "SELECT " + strings.Repeat("NOT ", 200_000) + "true",
		"joins":               "SELECT 1 FROM a" + strings.Repeat(" JOIN a ON x AND y", 30_000),
		"cross joins":         "SELECT 1 FROM a" + strings.Repeat(" CROSS JOIN a", 30_000),
		"natural joins":       "SELECT 1 FROM a" + strings.Repeat(" NATURAL LEFT JOIN a", 30_000),
		"unions":              "SELECT 1, 2" + strings.Repeat(" UNION SELECT 1, 2", 30_000),
		"excepts":             "VALUES (1), (2)" + strings.Repeat(" EXCEPT VALUES (1), (2)", 30_000),
		"subqueries":          "SELECT " + strings.Repeat("(SELECT ", 20_000) + "1" + strings.Repeat(")", 20_000),
		"case":                "SELECT " + strings.Repeat("CASE WHEN a AND b THEN ", 30_000) + "1" + strings.Repeat(" END", 30_000),
		"else case":           "SELECT " + strings.Repeat("CASE WHEN a THEN 1 ELSE ", 5_000) + "1" + strings.Repeat(" END", 5_000),
		"sums in between":     "SELECT 1 BETWEEN " + strings.Repeat("1+", 25_000) + "1 AND 2",
		"sums in a call":      "SELECT f(1, " + strings.Repeat("1+", 25_000) + "1, 2)",
		"subscripts":          "SELECT a" + strings.Repeat("[1]", 20_000),
		"fields":              "SELECT (a)" + strings.Repeat(".b", 20_000),
		"just below free":     "SELECT 1" + strings.Repeat("+1", freeLength/2-100),
		"minus":               "SELECT " + strings.Repeat("- ", 50_000) + "a",
		"nested calls":        "SELECT " + strings.Repeat("f(1,", 20_000) + "1" + strings.Repeat(")", 20_000),
		"at time zone":        "SELECT a" + strings.Repeat(" AT TIME ZONE b", 30_000),
		"in lists":            "SELECT a" + strings.Repeat(" IN (1)", 30_000),
		"depth 1,001":         "SELECT " + strings.Repeat("f(", 1_001) + "1" + strings.Repeat(")", 1_001),
	}
	for name, text := range refused {
		_, err := Parse(text)
		if code := types.CodeOf(err); code != "54001" {
			t.Errorf("%s: %v, want 54001", name, err)
		}
	}
	accepted := map[string]string{
		"or of 100,000": "SELECT 1 WHERE a = 1" + strings.Repeat(" OR a = 1", 100_000),
		"and of 5,000":  "SELECT 1 WHERE a IS NOT NULL" + strings.Repeat(" AND a.b >= -1", 5_000),
		"in of 20,000":  "SELECT 1 WHERE a IN (-1" + strings.Repeat(", -1", 20_000) + ")",
		"rows":          "INSERT INTO t VALUES (1, now())" + strings.Repeat(", (-1.5::float8, now())", 5_000),
		"vector":        "SELECT '[" + strings.Repeat("0.123,", 200_000) + "1]'::vector",
		"sum of 900":    "SELECT " + strings.Repeat("1+", 900) + "1",
		"statements":    strings.Repeat("SELECT 1+1 UNION SELECT 2;", 1_000) + strings.Repeat("SELECT a -- "+strings.Repeat("x", 50)+"\n;", 1_000),
	}
	for name, text := range accepted {
		parsed, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v, want it accepted", name, err)
			continue
		}
		if and, ok := parsed[0].Statement.(*Select); ok && name == "and of 5,000" {
			if n := len(and.Where.(*And).Args); n != 5_001 {
				t.Errorf("%s: %d arguments", name, n)
			}
		}
	}
}

func TestUnsupported(t *testing.T) {
	for text, want := range map[string]string{
		"CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()": "CREATE TRIGGER",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'":            "CREATE FUNCTION",
		"LISTEN x": "LISTEN",
		"MERGE INTO t USING u ON a WHEN MATCHED THEN DELETE": "MERGE",
		"DO 'x'": "DO",
		"CREATE TABLE t (a int) PARTITION BY HASH (a)": "PARTITION BY",
		"CREATE MATERIALIZED VIEW v AS SELECT 1":       "CREATE MATERIALIZED VIEW",
		"CREATE TYPE m AS ENUM ('a')":                  "CREATE TYPE",
		"DROP FUNCTION f":                              "DROP FUNCTION",
		"SELECT * FROM t TABLESAMPLE system(1)":        "TABLESAMPLE",
		"UPDATE t SET a[1] = 2":                        "assignment to an array element or a field",
		"ALTER SYSTEM SET a = 1":                       "ALTER SYSTEM",
		"REINDEX TABLE t":                              "REINDEX",
		"DELETE FROM t WHERE CURRENT OF c":             "WHERE CURRENT OF",
	} {
		s, err := ParseOne(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if u, ok := s.(*Unsupported); !ok || u.What != want {
			t.Errorf("%s: %#v, want unsupported %q", text, s, want)
		}
	}
}

func TestParseExpr(t *testing.T) {
	for _, text := range []string{"1", "a + b", "now()", "x IS NULL AND y", "nextval('s'::regclass)", "(1, 2)", "1 -- note"} {
		e, err := ParseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if again, err := ParseExpr(PrintExpr(e)); err != nil || !Equal(e, again) {
			t.Errorf("%s: %s does not parse to the same: %v", text, PrintExpr(e), err)
		}
	}
	e, err := ParseExpr("1 + f(2)")
	if err != nil || e.(*Op).Right.Pos() != 4 {
		t.Errorf("position of f is %v (%v), want 4", e.(*Op).Right.Pos(), err)
	}
	for _, text := range []string{"", "1) FROM t WHERE (true", "1; SELECT 2", "1) AS x, (2", "1 AS x", "1, 2", "SELECT", "SELECT 1", "*", "t.*", "DISTINCT a", "1 LIMIT 1"} {
		if e, err := ParseExpr(text); err == nil {
			t.Errorf("ParseExpr(%q) = %s, want an error", text, PrintExpr(e))
		}
	}
	_, err = ParseExpr("1 + ) 2")
	if e := types.AsError(err); e.Code != "42601" || e.Position != 5 {
		t.Errorf("%v at %d, want 42601 at 5", err, e.Position)
	}
}

func TestPrinterParams(t *testing.T) {
	e, err := ParseExpr("a = $3 AND b = $1 OR c = $3 OR d = $2")
	if err != nil {
		t.Fatal(err)
	}
	p := Printer{Renumber: true, Substitute: map[int]Expr{1: &Literal{Kind: 'i', Text: "-5"}, 9: nil}}
	if got, want := p.Print(e), "a = $1 AND b = (-5) OR c = $1 OR d = $2"; got != want {
		t.Errorf("printed %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(p.Params), "[3 2]"; got != want {
		t.Errorf("params %s, want %s", got, want)
	}
}

func TestRewrite(t *testing.T) {
	s, err := ParseOne("SELECT a + 1 FROM t WHERE a IN (SELECT a FROM u WHERE a = 2) ORDER BY a")
	if err != nil {
		t.Fatal(err)
	}
	before := Print(s)
	out := RewriteStatement(s, func(e Expr) Expr {
		if c, ok := e.(*ColumnRef); ok {
			return &FuncCall{Name: Name{"f"}, Args: []Expr{c}}
		}
		return e
	})
	if got, want := Print(out), "SELECT f(a) + 1 FROM t WHERE f(a) IN (SELECT f(a) FROM u WHERE f(a) = 2) ORDER BY f(a)"; got != want {
		t.Errorf("rewritten %s, want %s", got, want)
	}
	if Print(s) != before {
		t.Errorf("the original changed to %s", Print(s))
	}
	if Equal(s, out) {
		t.Error("different trees are equal")
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, parsed := range corpus(f) {
		for _, p := range parsed {
			f.Add(p.Text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10_000 {
			return
		}
		parsed, err := Parse(text)
		if err != nil {
			return
		}
		for _, p := range parsed {
			if hasUnsupported(p.Statement) {
				continue
			}
			printed := Print(p.Statement)
			again, err := ParseOne(printed)
			if err != nil {
				if types.CodeOf(err) == "54001" {
					continue // brackets make it deeper
				}
				t.Fatalf("%v\n of %s\n is %s", err, p.Text, printed)
			}
			if !Equal(p.Statement, again) {
				t.Fatalf("not the same tree\n of %s\n is %s\n then %s", p.Text, printed, Print(again))
			}
		}
	})
}

func hasUnsupported(s Statement) (found bool) {
	Inspect(s, func(n any) bool {
		switch n := n.(type) {
		case *Unsupported:
			found = true
		case *AlterCmd:
			found = found || n.Kind == "unsupported"
		}
		return true
	})
	return found
}
