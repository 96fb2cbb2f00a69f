package plan

import (
	"unicode/utf8"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// suggestionDistance is how many letters a name may differ in from one that is suggested.
const suggestionDistance = 3

// suggestion collects the columns whose names are nearest to one that was not found, as
// PostgreSQL does: a hint names one or two, of more it says nothing.
type suggestion struct {
	name     string
	distance int
	found    []string
}

// suggest looks for the columns of a scope that a reference may have meant, and adds them
// to its error.
func (s *scope) suggest(parts sql.Name, e *types.Error) error {
	found := &suggestion{name: parts[len(parts)-1], distance: suggestionDistance + 1}
	for _, t := range s.tables {
		extra := 0 // for a column of another FROM item than was named
		if len(parts) > 1 {
			extra = editDistance(parts[len(parts)-2], t.name)
		}
		found.look(t, extra)
	}
	return found.hint(e)
}

// look compares with the columns of a FROM item.
func (s *suggestion) look(t *scopeTable, extra int) {
	for _, c := range t.cols {
		if c.internal || c.name == "" {
			continue
		}
		d := editDistance(s.name, c.name)
		if d > len(s.name)/2 || d+extra > min(s.distance, suggestionDistance) {
			continue
		}
		if d+extra < s.distance {
			s.distance, s.found = d+extra, nil
		}
		s.found = append(s.found, sql.Name{t.name, c.name}.String())
	}
}

// hint adds what was found to an error.
func (s *suggestion) hint(e *types.Error) error {
	switch len(s.found) {
	case 1:
		return e.WithHint("Perhaps you meant to reference the column \"%s\".", s.found[0])
	case 2:
		return e.WithHint("Perhaps you meant to reference the column \"%s\" or the column \"%s\".", s.found[0], s.found[1])
	}
	return e
}

// editDistance is Levenshtein's: how many letters must be put in, taken out or replaced.
func editDistance(a, b string) int {
	row := make([]int, utf8.RuneCountInString(b)+1)
	for j := range row {
		row[j] = j
	}
	i := 0
	for _, x := range a {
		i++
		before := row[0]
		row[0] = i
		j := 0
		for _, y := range b {
			j++
			d := before
			if x != y {
				d++
			}
			before = row[j]
			row[j] = min(d, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(row)-1]
}
