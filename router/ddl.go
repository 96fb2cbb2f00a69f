package router

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/ddl"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// DDL changes the catalog: the router applies the statement to its own copy first, so
// that errors cost nothing, then every shard applies it inside one distributed
// transaction. The shard with the lowest number takes the lock that keeps DDLs apart, so
// it goes first and alone. All shards draw the same numbers, because the counter is part
// of the catalog.
func (t *Tx) DDL(ctx context.Context, stmt sql.Statement, env *exec.Env) (string, error) {
	if !ddl.Is(stmt) {
		return t.maintenance(ctx, stmt)
	}
	for try := 0; ; try++ {
		tag, err := t.define(ctx, stmt, env)
		if err == nil || try == mapTries || t.draft != nil || len(t.order) > 0 {
			return tag, public(err)
		}
		// Also a name that is there, or is not, may be news.
		changed, rerr := t.r.Renew(ctx)
		if rerr != nil || !changed && !isStaleCatalog(err) {
			return tag, public(err)
		}
	}
}

// errStaleCatalog tells that somebody else has changed the catalog since it was loaded.
var errStaleCatalog = types.Errorf("ZH003", "the catalog has changed")

func isStaleCatalog(err error) bool { return types.CodeOf(err) == "ZH003" }

// definition is one DDL under way.
type definition struct {
	s      *statement
	t      *Tx
	env    *exec.Env
	before *catalog.Catalog
	change ddl.Change
	text   string
}

func (t *Tx) define(ctx context.Context, stmt sql.Statement, env *exec.Env) (string, error) {
	m, err := t.r.clusterMap()
	if err != nil {
		return "", err
	}
	d := &definition{s: &statement{t: t, r: t.r, m: m, settings: t.settings(), env: env}, t: t, env: env, before: t.Catalog()}
	t.running = d.s
	stmt, err = hidePasswords(stmt, t.r.o.Password)
	if err != nil {
		return "", err
	}
	d.change, err = ddl.Apply(d.before, stmt, ddl.Env{
		User: t.o.Info.User(), SearchPath: t.o.Info.SearchPath(), Password: t.r.o.Password,
		Bind: plan.Env{Functions: t.r.Functions(), Builtin: env.Builtin},
	})
	if err != nil {
		return "", err
	}
	d.text = sql.Print(stmt)
	for _, n := range d.change.Notices {
		t.o.Info.Notice(n)
	}
	rows, err := d.change.Edit.Rows()
	if err != nil || len(rows) == 0 && len(d.change.Fills) == 0 && d.change.Then == nil {
		return d.change.Tag, err
	}
	after := d.change.Edit.Catalog().WithVirtual(t.r.catalogs.relations)
	if err := d.send(ctx, after); err != nil {
		if t.draft == nil && len(t.order) == len(d.s.mu.fresh) {
			d.s.undo(ctx, false)
		}
		return "", err
	}
	return d.follow(ctx)
}

// send has all shards apply the statement. Rows that a new primary key puts elsewhere are
// taken out before and inserted again after it.
func (d *definition) send(ctx context.Context, after *catalog.Catalog) error {
	if err := d.lock(ctx); err != nil {
		return err
	}
	if err := d.assignUnits(ctx, after); err != nil {
		return err
	}
	moved, err := d.takeOut(ctx)
	if err != nil {
		return err
	}
	if err := d.onShards(ctx, d.text); err != nil {
		return err
	}
	d.t.draft, d.t.ddl = after, true
	for _, f := range d.change.Fills { // RESTART and RESTART IDENTITY
		if f.Kind == ddl.SetSequence {
			_, committed := d.t.r.Catalog().ByOID(f.Table)
			d.t.r.sequences.goOn(f.Table, f.Value, false, !committed)
		}
	}
	for oid, rows := range moved {
		if err := d.putBack(ctx, oid, rows); err != nil {
			return err
		}
	}
	return nil
}

// onShards runs a text on every shard inside the transaction: on the lowest one first,
// where the catalog's lock is, then on the others at the same time.
func (d *definition) onShards(ctx context.Context, text string) error {
	for i, part := range [][]cluster.ShardID{serving(d.s.m)[:1], serving(d.s.m)[1:]} {
		w := d.s.newWork()
		for _, id := range part {
			statements := d.preamble(text)
			if i == 0 { // its settings are made
				statements = statements[len(statements)-1:]
			}
			for _, st := range statements {
				w.add(id, st, nil, nil)
			}
		}
		if err := w.run(ctx, false); err != nil {
			return err
		}
	}
	return nil
}

// lock takes the catalog's lock on the lowest shard, and looks whether the catalog that the
// router planned with is still the newest: it then stays so.
func (d *definition) lock(ctx context.Context) error {
	ids := serving(d.s.m)
	if len(ids) == 0 {
		return types.Errorf("57P03", "the cluster has no active shard")
	}
	w := d.s.newWork()
	for _, st := range d.preamble("SELECT helios.lock_catalog()") {
		w.add(ids[0], st, nil, nil)
	}
	w.add(ids[0], remote.Statement{SQL: versionQuery}, nil, func(a answer) error {
		version, err := parseTimestamp(string(a.rows[0][0]))
		if err == nil && d.t.draft == nil && uint64(version) != d.before.Version() {
			return errStaleCatalog
		}
		return err
	})
	return w.run(ctx, false)
}

// preamble puts the session's user, search path and lock timeout ahead of a text.
func (d *definition) preamble(text string) []remote.Statement {
	info := d.t.o.Info
	var path []string
	for _, name := range info.SearchPath() {
		path = append(path, sql.QuoteIdent(name))
	}
	timeout, _ := info.Raw("lock_timeout")
	if timeout == "" || timeout == "0" {
		timeout = "5000"
	}
	set := func(name, value string) remote.Statement {
		return remote.Statement{
			SQL:    "SELECT set_config($1, $2, true)",
			Params: []remote.Param{textParam(name), textParam(value)},
		}
	}
	return []remote.Statement{
		set("search_path", strings.Join(path, ", ")), set("lock_timeout", timeout), set("role", info.User()),
		{SQL: text, Once: true},
	}
}

// assignUnits deals the units of new tables that are not placed by slots to the shards,
// which take them over from the map by themselves. It comes first: a shard refuses to
// commit what all shards must have when the ownership changed after it was written. Units
// of a table that is not made in the end are nobody's loss.
func (d *definition) assignUnits(ctx context.Context, after *catalog.Catalog) error {
	for rel := range after.Relations() {
		if rel.Virtual || rel.Kind != catalog.KindTable {
			continue
		}
		if old, ok := d.before.ByOID(rel.OID); ok && old.Placement.Strategy == rel.Placement.Strategy {
			continue
		}
		p, err := placement.For(rel, d.s.m.SlotCount())
		if err != nil {
			return err
		}
		units := p.Units()
		if len(units) == 0 {
			continue
		}
		if d.t.r.o.AssignUnits == nil {
			return types.Errorf("0A000", "this router cannot place tables by strategy %q", rel.Placement.Strategy).
				WithHint("It has no way to write the cluster map.")
		}
		set, err := dealUnits(d.s.m, rel, units)
		if err != nil {
			return err
		}
		if err := d.t.r.o.AssignUnits(ctx, uint32(rel.OID), set); err != nil {
			return err
		}
	}
	return d.renewMap(ctx)
}

// renewMap takes the map that the router just changed.
func (d *definition) renewMap(ctx context.Context) error {
	m, err := d.t.r.clusterMap()
	if err != nil {
		return err
	}
	d.s.m = m
	return nil
}

// dealUnits spreads units evenly over the active shards; those of a zone over the shards
// in that zone or, if there are none, over one of all.
func dealUnits(m *cluster.Map, rel *catalog.Relation, units []placement.Unit) (cluster.CellSet, error) {
	var active []cluster.ShardID
	inZone := map[string][]cluster.ShardID{}
	for _, s := range m.Shards {
		if s.State == cluster.Active && s.Weight > 0 {
			active = append(active, s.ID)
			inZone[s.Zone] = append(inZone[s.Zone], s.ID)
		}
	}
	set := cluster.CellSet{Generation: uint64(rel.Placement.Generation)}
	if len(active) == 0 {
		return set, types.Errorf("57P03", "the cluster has no active shard")
	}
	for i, u := range units {
		id := active[i%len(active)]
		if rel.Placement.Strategy == catalog.Geo {
			zone := placement.ZoneOf(u.N)
			id = active[zone%len(active)]
			if local := inZone[rel.Placement.Zones[zone].Name]; len(local) > 0 {
				id = local[i%len(local)]
			}
		}
		owner := cluster.Owner{Shard: id, Epoch: 1}
		if old, ok := m.Cell(u.Space, u.N); ok { // left over from a table that was never made
			if owner.Epoch = old.Epoch; old.Shard != id {
				owner.Epoch++
			}
		}
		set.Cells = append(set.Cells, cluster.CellOwner{Cell: u.N, Owner: owner})
	}
	set.Generation = max(set.Generation, m.CellSets[uint32(rel.OID)].Generation)
	return set, nil
}

// replaceMax bounds the rows that a new primary key moves, in bytes.
const replaceMax = 1 << 30

// takeOut reads and removes the rows of tables whose placement the statement changes.
func (d *definition) takeOut(ctx context.Context) (map[types.OID][]types.Row, error) {
	moved := map[types.OID][]types.Row{}
	for _, f := range d.change.Fills {
		if f.Kind != ddl.FillReplace {
			continue
		}
		rel, ok := d.before.ByOID(f.Table)
		if !ok {
			continue // made by the same statement
		}
		name := sql.Name{rel.Schema, rel.Name}.String()
		if err := d.t.onAll(ctx, "LOCK TABLE "+name+" IN ACCESS EXCLUSIVE MODE", true); err != nil {
			return nil, err
		}
		rows, err := d.readAll(ctx, rel)
		if err != nil {
			return nil, err
		}
		moved[f.Table] = rows
		if len(rows) > 0 {
			if err := d.t.onAll(ctx, "TRUNCATE "+name, true); err != nil {
				return nil, err
			}
		}
	}
	return moved, nil
}

// readAll reads a whole table over the transaction's own connections.
func (d *definition) readAll(ctx context.Context, rel *catalog.Relation) ([]types.Row, error) {
	t := sqlOf(rel)
	var names []string
	var columns []plan.Col
	attrs := visibleAttrs(rel)
	for _, i := range attrs {
		names = append(names, column(rel.Columns[i].Name))
		columns = append(columns, plan.Col{Type: rel.Columns[i].Type})
	}
	st := remote.Statement{SQL: "SELECT " + strings.Join(names, ", ") + " FROM " + t.name + " AS t", Result: remote.Binary}
	var rows []types.Row
	size := 0
	w := d.s.newWork()
	for i, id := range serving(d.s.m) {
		if rel.Placement.Strategy == catalog.Reference && i > 0 {
			break
		}
		w.add(id, st, nil, func(a answer) error {
			for _, raw := range a.rows {
				values, err := decode(columns, raw)
				if err != nil {
					return err
				}
				row := make(types.Row, len(rel.Columns))
				for j, c := range attrs {
					row[c] = values[j]
				}
				rows = append(rows, row)
			}
			if size += rowsBytes(rows[len(rows)-len(a.rows):]); size > replaceMax {
				return types.Errorf("53200", "table %q is too large to be placed anew in one statement", rel.Name).
					WithHint("Make a table with the primary key and INSERT … SELECT into it in parts.")
			}
			return nil
		})
	}
	return rows, w.run(ctx, false)
}

// putBack inserts rows into a table under its new definition.
func (d *definition) putBack(ctx context.Context, oid types.OID, rows []types.Row) error {
	rel, ok := d.t.draft.ByOID(oid)
	if !ok || len(rows) == 0 {
		return nil
	}
	for i, row := range rows {
		if len(row) < len(rel.Columns) {
			rows[i] = append(row, make(types.Row, len(rel.Columns)-len(row))...)
		}
	}
	for len(rows) > 0 {
		n := min(len(rows), 4096)
		if _, err := d.s.Insert(ctx, d.env, &plan.Insert{Rel: rel}, rows[:n], nil); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// follow runs the statement that a DDL brings with it: the INSERT of CREATE TABLE AS, or
// the UPDATE that fills a new column.
func (d *definition) follow(ctx context.Context) (string, error) {
	if d.change.Then == nil {
		return d.change.Tag, nil
	}
	q, err := plan.Bind(d.change.Then, plan.Env{
		Catalog: d.t.Catalog(), SearchPath: d.t.o.Info.SearchPath(), Functions: d.t.r.Functions(), Builtin: d.env.Builtin,
	})
	if err != nil {
		return "", err
	}
	res, err := d.t.Query(ctx, q, d.env)
	if err != nil {
		return "", public(err)
	}
	if d.change.Tag == "SELECT" {
		return fmt.Sprintf("SELECT %d", res.Count()), res.Rows.Close()
	}
	return d.change.Tag, res.Rows.Close()
}

// onAll runs a text on every shard inside the transaction; in order when two of them must
// not meet crosswise.
func (t *Tx) onAll(ctx context.Context, text string, inOrder bool) error {
	m, err := t.r.clusterMap()
	if err != nil {
		return err
	}
	s := &statement{t: t, r: t.r, m: m, settings: t.settings()}
	ctx, done := s.watched(ctx)
	defer done()
	w := s.newWork()
	for _, id := range serving(m) {
		w.add(id, remote.Statement{SQL: text, Once: true}, nil, nil)
		if inOrder {
			if err := w.run(ctx, false); err != nil {
				return deadlocked(ctx, public(err))
			}
			w = s.newWork()
		}
	}
	return deadlocked(ctx, public(w.run(ctx, false)))
}

// maintenance runs ANALYZE, VACUUM and CHECKPOINT on every shard, each on its own.
func (t *Tx) maintenance(ctx context.Context, stmt sql.Statement) (string, error) {
	tag := "CHECKPOINT"
	if a, ok := stmt.(*sql.Analyze); ok {
		if tag = "ANALYZE"; a.Vacuum {
			tag = "VACUUM"
		}
	} else if _, ok := stmt.(*sql.Checkpoint); !ok {
		return "", types.Errorf("0A000", "this statement is not supported")
	}
	m, err := t.r.clusterMap()
	if err != nil {
		return "", err
	}
	text := sql.Print(stmt)
	for _, id := range serving(m) {
		err := t.r.o.Shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
			_, err := c.Run(ctx, remote.Statement{SQL: text, Once: true})
			return err
		})
		if err != nil {
			return "", public(err)
		}
	}
	return tag, nil
}

// hidePasswords puts verifiers in the place of passwords given in clear: their salt is
// random, so one place makes them and all shards store the same.
func hidePasswords(stmt sql.Statement, verifier func(string) (string, error)) (sql.Statement, error) {
	hide := func(options []sql.Option) ([]sql.Option, error) {
		out := append([]sql.Option(nil), options...)
		for i, o := range out {
			if o.Name != "password" || o.Value == nil || strings.HasPrefix(*o.Value, "SCRAM-SHA-256$") {
				continue
			}
			if verifier == nil {
				return nil, types.Errorf("0A000", "passwords cannot be set through this router")
			}
			v, err := verifier(*o.Value)
			if err != nil {
				return nil, err
			}
			out[i].Value = &v
		}
		return out, nil
	}
	var err error
	switch x := stmt.(type) {
	case *sql.CreateRole:
		c := *x
		c.Options, err = hide(x.Options)
		return &c, err
	case *sql.AlterRole:
		c := *x
		c.Options, err = hide(x.Options)
		return &c, err
	}
	return stmt, nil
}

// settle makes a committed DDL the router's own catalog; its version is the transaction's
// commit timestamp.
func (t *Tx) settle(ctx context.Context) {
	version := uint64(t.at)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := t.r.reload(ctx, version); err != nil {
		t.r.log.Warn("the new catalog could not be loaded yet", "version", version, "err", err)
	}
}
