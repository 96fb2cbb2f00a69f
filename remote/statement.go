package remote

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// prepared is a statement that one connection's session holds, or soon will.
type prepared struct {
	key, name   string
	description *pgconn.StatementDescription // nil until the node has answered
	used        uint64
}

// statementCache knows the prepared statements of one connection; the least recently used
// one goes first. Names are never used twice, so a statement whose Close was lost cannot
// be mistaken for another.
type statementCache struct {
	max   int
	clock uint64
	byKey map[string]*prepared
	stale []string // names to be closed with the next flight
	key   []byte   // scratch
}

func newStatementCache(most int) *statementCache {
	return &statementCache{max: most, byKey: make(map[string]*prepared)}
}

// find gives the statement for a text and its parameter types, nil if there is none.
func (c *statementCache) find(s *Statement) *prepared {
	c.clock++
	c.key = append(c.key[:0], s.SQL...)
	for _, param := range s.Params {
		c.key = strconv.AppendUint(append(c.key, 0), uint64(param.Type), 36)
	}
	p := c.byKey[string(c.key)]
	if p != nil {
		p.used = c.clock
	}
	return p
}

// add makes the statement that find, called just before, did not find. The caller must send it.
func (c *statementCache) add() *prepared {
	if len(c.byKey) >= c.max {
		c.evictOldest()
	}
	p := &prepared{key: string(c.key), name: "h" + strconv.FormatUint(c.clock, 36), used: c.clock}
	c.byKey[p.key] = p
	return p
}

// evictOldest drops the least recently used statement that the node has confirmed; those
// of the running flight stay.
func (c *statementCache) evictOldest() {
	var oldest *prepared
	for _, p := range c.byKey {
		if p.description != nil && (oldest == nil || p.used < oldest.used) {
			oldest = p
		}
	}
	if oldest != nil {
		c.forget([]*prepared{oldest})
	}
}

// forget drops statements; their names are closed later (closing an unknown one is no error).
func (c *statementCache) forget(statements []*prepared) {
	for _, p := range statements {
		if c.byKey[p.key] == p {
			delete(c.byKey, p.key)
			c.stale = append(c.stale, p.name)
		}
	}
}

// takeStale gives the names to close.
func (c *statementCache) takeStale() []string {
	names := c.stale
	c.stale = nil
	return names
}

// putBack keeps names whose Close was not confirmed.
func (c *statementCache) putBack(names []string) { c.stale = slices.Concat(names, c.stale) }

// outdated tells the errors after which a prepared statement must be made anew: the node
// does not know it, or its result type has changed.
func outdated(code, message string) bool {
	return code == "26000" || code == "0A000" && strings.Contains(message, "cached plan")
}
