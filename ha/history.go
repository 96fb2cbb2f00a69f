package ha

import "github.com/heliosdb/helios/wal"

// forkPoint returns the LSN up to which two logs agree: the lower end of the
// last term that both have. A term that began at different places in the two
// logs cannot be (a term has one primary), except by damage: ok is false.
func forkPoint(mine []wal.TermStart, myEnd wal.LSN, theirs []wal.TermStart, theirEnd wal.LSN) (fork wal.LSN, ok bool) {
	i, j := 0, 0
	for i < len(mine) && j < len(theirs) {
		a, b := mine[i], theirs[j]
		switch {
		case a.Term < b.Term:
			i++
		case a.Term > b.Term:
			j++
		case a.LSN != b.LSN:
			return 0, false
		default:
			fork = min(termEnd(mine, i, myEnd), termEnd(theirs, j, theirEnd))
			i, j = i+1, j+1
		}
	}
	return fork, true
}

func termEnd(terms []wal.TermStart, i int, end wal.LSN) wal.LSN {
	if i+1 < len(terms) {
		return terms[i+1].LSN
	}
	return end
}

func lastTerm(terms []wal.TermStart) uint32 {
	if len(terms) == 0 {
		return 0
	}
	return terms[len(terms)-1].Term
}
