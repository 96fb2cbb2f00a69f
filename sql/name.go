package sql

// String writes the name as SQL, parts quoted where needed.
func (n Name) String() string {
	var b []byte
	for i, part := range n {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, QuoteIdent(part)...)
	}
	return string(b)
}
