package session

import (
	"container/list"
	"sync"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/plan"
)

// planCache keeps what parsing and planning of a text gave, least recently used out first.
// Texts over planTextMax (vectors written out) are never kept. It is safe for concurrent
// use; what it holds is immutable.
type planCache struct {
	limit int

	mu struct {
		sync.Mutex
		entries map[planKey]*list.Element
		recent  list.List // of *planEntry, newest first
		bytes   int
	}
}

const planTextMax = 64 << 10

// planKey is everything that a plan depends on.
type planKey struct {
	engine  Engine
	text    string
	params  string // OIDs declared by the client
	place   string // search path, user and settings that literals are read by
	version uint64 // of the catalog
}

type planEntry struct {
	key    planKey
	parsed []sql.Parsed
	query  *plan.Query // of the only statement, nil if it is not a query
	bytes  int
}

func newPlanCache(limit int) *planCache {
	c := &planCache{limit: limit}
	c.mu.entries = make(map[planKey]*list.Element)
	return c
}

func (c *planCache) get(key planKey) (*planEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.mu.entries[key]
	if !ok {
		return nil, false
	}
	c.mu.recent.MoveToFront(el)
	return el.Value.(*planEntry), true
}

// planWeight is roughly how much larger tree and plan are than the text, in bytes a byte,
// and planBase what each costs besides.
const (
	planWeight = 40
	planBase   = 4 << 10
)

func (c *planCache) put(e *planEntry) {
	if len(e.key.text) > planTextMax {
		return
	}
	e.bytes = planBase + planWeight*len(e.key.text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.mu.entries[e.key]; ok {
		c.drop(old)
	}
	c.mu.entries[e.key] = c.mu.recent.PushFront(e)
	c.mu.bytes += e.bytes
	for c.mu.bytes > c.limit {
		c.drop(c.mu.recent.Back())
	}
}

// drop needs the lock.
func (c *planCache) drop(el *list.Element) {
	e := c.mu.recent.Remove(el).(*planEntry)
	delete(c.mu.entries, e.key)
	c.mu.bytes -= e.bytes
}
