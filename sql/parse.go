package sql

import (
	"errors"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/heliosdb/helios/types"
)

// Parsed is one statement of a text.
type Parsed struct {
	Statement Statement
	Text      string // its part of the text, without the semicolon
	Offset    int    // byte offset of Text in the whole; nodes' Pos counts from here
}

// Parse turns a text of any number of statements into trees. Empty statements and
// comments give nothing. A statement of PostgreSQL's grammar that Helios does not have
// becomes *Unsupported, so that those before it can still run.
//
// Errors are *types.Error: 42601 with the position of a syntax error (in characters of
// the whole text), 22021 for NUL or invalid UTF-8, 54001 for what is too deep or too
// complex.
func Parse(text string) ([]Parsed, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	if err := guard(text); err != nil {
		return nil, err
	}
	tree, err := pg.Parse(text)
	if err != nil {
		return nil, parseError(err)
	}
	var out []Parsed
	for _, raw := range tree.Stmts {
		p := cut(text, int(raw.StmtLocation), int(raw.StmtLen))
		p.Statement, err = convert(raw.Stmt, p.Offset)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// ParseOne parses a text that must hold exactly one statement.
func ParseOne(text string) (Statement, error) {
	parsed, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if len(parsed) != 1 {
		return nil, types.Errorf("42601", "expected one statement, found %d", len(parsed))
	}
	return parsed[0].Statement, nil
}

// ParseExpr parses one expression, such as a column's default.
func ParseExpr(text string) (Expr, error) {
	const prefix = "SELECT ALL "
	stmt, err := ParseOne(prefix + text)
	if err != nil {
		if e := types.AsError(err); e.Position > len(prefix) {
			c := *e
			c.Position -= len(prefix)
			return nil, &c
		}
		return nil, err
	}
	q, ok := stmt.(*Select)
	if !ok || len(q.Targets) != 1 || q.Targets[0].Alias != "" || !Equal(q, &Select{Targets: q.Targets}) {
		return nil, types.Errorf("42601", "not an expression: %s", text)
	}
	e := q.Targets[0].Expr
	if star, ok := e.(*ColumnRef); ok && star.Star {
		return nil, types.Errorf("42601", "not an expression: %s", text)
	}
	Inspect(e, func(n any) bool {
		if m, ok := n.(mover); ok {
			m.move(-len(prefix))
		}
		return true
	})
	return e, nil
}

// mover is a node with a position.
type mover interface{ move(by int) }

func (a *At) move(by int) {
	if *a >= 0 {
		*a += At(by)
	}
}

func checkText(text string) error {
	if strings.IndexByte(text, 0) >= 0 {
		return types.Errorf("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")
	}
	if !utf8.ValidString(text) {
		return types.Errorf("22021", "invalid byte sequence for encoding \"UTF8\": %s", invalidBytes(text))
	}
	return nil
}

// invalidBytes shows the first bytes of text that are not UTF-8.
func invalidBytes(text string) string {
	const hex = "0123456789abcdef"
	for i, r := range text {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
			return "0x" + string(hex[text[i]>>4]) + string(hex[text[i]&15])
		}
	}
	return ""
}

// cut gives a statement's part of the text without the white space around it.
// Length 0 means up to the end.
func cut(text string, start, length int) Parsed {
	end := len(text)
	if length > 0 {
		end = start + length
	}
	part := text[start:end]
	trimmed := strings.TrimLeft(part, " \t\r\n\f\v")
	return Parsed{
		Text:   strings.TrimRight(trimmed, " \t\r\n\f\v"),
		Offset: start + len(part) - len(trimmed),
	}
}

// parseError turns an error of the parser into one with a SQLSTATE. The parser passes
// on PostgreSQL's message and position but not its SQLSTATE; what is not 42601 is told
// by the message.
func parseError(err error) error {
	var e *parser.Error
	if !errors.As(err, &e) {
		if strings.Contains(err.Error(), "recursion depth") {
			return tooComplex()
		}
		return types.Errorf("XX000", "parser: %w", err)
	}
	code := "42601"
	switch m := e.Message; {
	case strings.HasPrefix(m, "memory exhausted"), strings.HasPrefix(m, "stack depth limit"):
		return tooComplex()
	case strings.Contains(m, "not implemented"), strings.Contains(m, "not supported"):
		code = "0A000"
	case strings.HasPrefix(m, "invalid byte sequence"), strings.HasPrefix(m, "invalid Unicode escape value"):
		code = "22021"
	case strings.HasPrefix(m, "invalid escape"), strings.HasPrefix(m, "invalid Unicode escape"):
		code = "22025"
	}
	return types.Errorf(code, "%s", e.Message).At(e.Cursorpos)
}

func tooComplex() error {
	return types.Errorf("54001", "statement is too complex").
		WithHint("Break it into smaller statements, or use IN, = ANY or a VALUES list in place of long chains of operators.")
}
