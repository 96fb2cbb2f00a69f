package sql

import pg "github.com/pganalyze/pg_query_go/v6"

const (
	// freeLength is the length in bytes up to which a text needs no guard: one level of a
	// chain costs at least two bytes, and the parser's stack holds 20,000 levels.
	freeLength = 32 << 10
	// chainMax is the highest number of tokens that may be chained without a bracket,
	// comma, AND or OR between them.
	chainMax = 10_000
)

// guard refuses a text whose tree could be so deep that the C parser overflows its
// stack, which would end the process (libpg_query checks no stack depth). Left-deep
// chains are the danger: 1+1+…, a::int::int…, JOIN, UNION. Lists and AND/OR chains come
// out flat; nested brackets, NOT and CASE end in bison's own "memory exhausted".
//
// Two counts bound the depth. Operators bind tighter than the comma, AND and OR, so
// their chains end there: links are counted per bracket level since the last such
// token, and the sum over the open levels is the bound. JOIN and set operations bind
// looser, so they are counted over the whole statement.
func guard(text string) error {
	if len(text) <= freeLength {
		return nil
	}
	scan, err := pg.Scan(text)
	if err != nil {
		return parseError(err)
	}
	if outsideLiterals(scan.Tokens) <= freeLength {
		return nil
	}
	var loose, links int // links is the sum of levels
	levels := []int{0}
	top := func() *int { return &levels[len(levels)-1] }
	for _, t := range scan.Tokens {
		switch t.Token {
		case pg.Token_ASCII_59: // ;
			loose, links, levels = 0, 0, levels[:1]
			levels[0] = 0
		case pg.Token_ASCII_40, pg.Token_ASCII_91: // ( [
			levels = append(levels, 0)
		case pg.Token_ASCII_41, pg.Token_ASCII_93: // ) ]
			if len(levels) > 1 {
				links -= *top()
				levels = levels[:len(levels)-1]
			}
		case pg.Token_ASCII_44, pg.Token_AND, pg.Token_OR:
			links -= *top()
			*top() = 0
		case pg.Token_UNION, pg.Token_INTERSECT, pg.Token_EXCEPT, pg.Token_JOIN:
			loose++
		default:
			if !isLiteral(t.Token) {
				links++
				*top()++
			}
		}
		if loose > chainMax || links > chainMax {
			return tooComplex()
		}
	}
	return nil
}

// outsideLiterals sums the lengths of all tokens that are no literal and no comment.
func outsideLiterals(tokens []*pg.ScanToken) int {
	n := 0
	for _, t := range tokens {
		if !isLiteral(t.Token) {
			n += int(t.End-t.Start) + 1
		}
	}
	return n
}

func isLiteral(t pg.Token) bool {
	switch t {
	case pg.Token_ICONST, pg.Token_FCONST, pg.Token_SCONST, pg.Token_USCONST, pg.Token_BCONST, pg.Token_XCONST,
		pg.Token_PARAM, pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
		return true
	}
	return false
}
