package router

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/pgcatalog"
	"github.com/heliosdb/helios/types"
)

// catalogs holds the newest catalog and what is made from it.
type catalogs struct {
	current   atomic.Pointer[catalogView]
	relations []*catalog.Relation // virtual ones

	mu      sync.Mutex // one reload at a time
	placers sync.Map   // *catalog.Relation → *placement.Placer

	partitioners sync.Map // partitionerKey → *vectorpart.Partitioner
}

// catalogView is a catalog with pg_catalog over it.
type catalogView struct {
	cat  *catalog.Catalog
	view *pgcatalog.View
}

func (c *catalogs) init(r *Router) {
	c.relations = append(append(c.relations, pgcatalog.Relations()...), r.o.Relations...)
}

// Catalog is the newest catalog that the router has loaded.
func (r *Router) Catalog() *catalog.Catalog { return r.catalogs.current.Load().cat }

// Lookup answers the catalog questions of functions for a session.
func (r *Router) Lookup(cat *catalog.Catalog, info *session.Info) builtin.Catalog {
	return r.viewOf(cat).Lookup(info, &sequences{r: r, cat: cat, s: r.session(info)})
}

// viewOf gives pg_catalog over a catalog; that of a transaction's own catalog is not kept.
func (r *Router) viewOf(cat *catalog.Catalog) *pgcatalog.View {
	if v := r.catalogs.current.Load(); v.cat == cat {
		return v.view
	}
	return pgcatalog.New(cat, r)
}

// LastValue tells pg_sequences nothing: the last value drawn by any router is known to
// the sequence's shard alone.
func (r *Router) LastValue(types.OID) (int64, bool) { return 0, false }

// Renew loads the catalog if a shard has a newer one, and tells whether it had.
func (r *Router) Renew(ctx context.Context) (bool, error) {
	before := r.Catalog().Version()
	newest, err := r.newestVersion(ctx)
	if err != nil || newest <= before {
		return false, err
	}
	err = r.reload(ctx, newest)
	return err == nil && r.Catalog().Version() > before, err
}

// newestVersion asks the lowest shard, where every change of the catalog begins, for the
// catalog's version.
func (r *Router) newestVersion(ctx context.Context) (uint64, error) {
	m, err := r.clusterMap()
	if err != nil {
		return 0, err
	}
	ids := serving(m)
	if len(ids) == 0 {
		return 0, types.Errorf("57P03", "the cluster has no active shard")
	}
	text, err := r.ask(ctx, ids[0], versionQuery)
	if err != nil {
		return 0, err
	}
	ts, err := parseTimestamp(text)
	return uint64(ts), err
}

// reload loads the catalog from a shard until its version is at least this one.
func (r *Router) reload(ctx context.Context, atLeast uint64) error {
	c := &r.catalogs
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.current.Load(); v != nil && atLeast > 0 && v.cat.Version() >= atLeast {
		return nil
	}
	limit := time.Now().Add(r.o.Limits.Hold)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		cat, err := r.load(ctx)
		if err == nil && cat.Version() >= atLeast {
			r.adopt(cat)
			return nil
		}
		if err == nil {
			err = types.Errorf("57P03", "no shard has catalog version %d yet", atLeast)
		}
		if !passing(err) || time.Until(limit) < pause {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// adopt makes a catalog the newest.
func (r *Router) adopt(cat *catalog.Catalog) {
	cat = cat.WithVirtual(r.catalogs.relations)
	if v := r.catalogs.current.Load(); v != nil && v.cat.Version() >= cat.Version() {
		return
	}
	r.stats.reloads.Add(1)
	r.catalogs.placers.Clear()
	r.catalogs.current.Store(&catalogView{cat: cat, view: pgcatalog.New(cat, r)})
}

// load reads the catalog from any shard that answers. The rows are read between two
// readings of the version, so that they are of one version.
func (r *Router) load(ctx context.Context) (*catalog.Catalog, error) {
	m, err := r.clusterMap()
	if err != nil {
		return nil, err
	}
	err = types.Errorf("57P03", "no shard is there to load the catalog from")
	for _, id := range serving(m) {
		var cat *catalog.Catalog
		if cat, err = r.loadFrom(ctx, id); err == nil || ctx.Err() != nil {
			return cat, err
		}
	}
	return nil, err
}

func (r *Router) loadFrom(ctx context.Context, id cluster.ShardID) (cat *catalog.Catalog, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err = r.o.Shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
		for range 10 {
			version, changes, err := readCatalog(ctx, c)
			if errors.Is(err, errChanged) {
				continue
			}
			if err != nil {
				return err
			}
			cat, err = catalog.Load(version, func(yield func(k, v []byte) bool) {
				for _, x := range changes {
					if !yield(x.Key, x.Value) {
						return
					}
				}
			})
			return err
		}
		return types.Errorf("57P03", "the catalog changes too often to be read")
	})
	return cat, err
}

var errChanged = errors.New("the catalog changed while it was read")

const versionQuery = "SELECT helios.catalog_version()"

// readCatalog reads version, rows and version again. The rows come as pairs of key and
// value, the versions alone.
func readCatalog(ctx context.Context, c *remote.Conn) (version uint64, rows []catalog.Change, err error) {
	found, err := askOn(ctx, c,
		remote.Statement{SQL: versionQuery},
		remote.Statement{SQL: "SELECT key, value FROM helios.catalog_rows", Result: remote.Binary},
		remote.Statement{SQL: versionQuery},
	)
	if err != nil {
		return 0, nil, err
	}
	var versions []hlc.Timestamp
	for _, raw := range found {
		if len(raw) == 2 {
			rows = append(rows, catalog.Change{Key: raw[0], Value: raw[1]})
			continue
		}
		if string(raw[0]) == "" { // helios.ctx has answered
			continue
		}
		ts, err := parseTimestamp(string(raw[0]))
		if err != nil {
			return 0, nil, err
		}
		versions = append(versions, ts)
	}
	if len(versions) != 2 || versions[0] != versions[1] {
		return 0, nil, errChanged
	}
	return uint64(versions[0]), rows, nil
}

// parseTimestamp reads a timestamp as shards print it.
func parseTimestamp(s string) (hlc.Timestamp, error) {
	v, err := types.ParseText(types.T(types.Int8OID), s, nil)
	if err != nil {
		return 0, err
	}
	return hlc.Check(uint64(v.AsInt()))
}

// placer gives the compiled placement of a relation.
func (r *Router) placer(m *cluster.Map, rel *catalog.Relation) (*placement.Placer, error) {
	if p, ok := r.catalogs.placers.Load(rel); ok {
		return p.(*placement.Placer), nil
	}
	p, err := placement.For(rel, m.SlotCount())
	if err != nil {
		return nil, err
	}
	r.catalogs.placers.Store(rel, p)
	return p, nil
}
