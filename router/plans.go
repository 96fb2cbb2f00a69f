package router

import (
	"sync"

	"github.com/heliosdb/helios/sql/plan"
)

// planCache keeps what Distribute made of a plan; sessions keep plans and run the same
// ones again and again.
type planCache struct {
	mu    sync.Mutex
	plans map[*plan.Query]*plan.Query
}

// planCacheMax bounds the plans kept; beyond it all are dropped.
const planCacheMax = 2048

func (c *planCache) init() { c.plans = map[*plan.Query]*plan.Query{} }

// distribute gives the plan for a router.
func (r *Router) distribute(q *plan.Query) (*plan.Query, error) {
	c := &r.plans
	c.mu.Lock()
	d, ok := c.plans[q]
	c.mu.Unlock()
	if ok {
		return d, nil
	}
	d, err := plan.Distribute(q)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plans) >= planCacheMax {
		clear(c.plans)
	}
	c.plans[q] = d
	return d, nil
}
