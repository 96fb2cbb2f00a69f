package ddl

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// session applies statements one after another, each to the catalog the last one made,
// and checks at every step that the rows written give the same catalog.
type session struct {
	t    *testing.T
	cat  *catalog.Catalog
	rows map[string][]byte
}

func newSession(t *testing.T) *session {
	cat, rows, err := catalog.Bootstrap("heliosdb", "helios", "")
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, cat: cat, rows: make(map[string][]byte)}
	s.keep(rows)
	return s
}

func (s *session) keep(changes []catalog.Change) {
	for _, c := range changes {
		if c.Value == nil {
			delete(s.rows, string(c.Key))
		} else {
			s.rows[string(c.Key)] = c.Value
		}
	}
}

// run applies all statements of a text and tells what came of each.
func (s *session) run(user, text string) string {
	var out strings.Builder
	parsed, err := sql.Parse(text)
	if err != nil {
		return describeError(err)
	}
	for _, p := range parsed {
		env := Env{User: user, SearchPath: []string{user, "public"}, Password: func(clear string) (string, error) {
			return "SCRAM-SHA-256$of " + clear, nil
		}}
		change, err := Apply(s.cat, p.Statement, env)
		if err != nil {
			out.WriteString(describeError(err))
			continue
		}
		out.WriteString(describeChange(s.cat, change))
		rows, err := change.Edit.Rows()
		if err != nil {
			s.t.Fatal(err)
		}
		s.keep(rows)
		s.cat = change.Edit.Finish(s.cat.Version() + 1)
		s.reload()
	}
	return out.String()
}

// reload replaces the catalog by the one its rows give.
func (s *session) reload() {
	loaded, err := catalog.Load(s.cat.Version(), func(yield func(k, v []byte) bool) {
		for k, v := range s.rows {
			if !yield([]byte(k), v) {
				return
			}
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.cat = loaded
}

func describeError(err error) string {
	e := types.AsError(err)
	out := e.Error()
	if e.Position != 0 {
		out += fmt.Sprintf(" at %d", e.Position)
	}
	for _, part := range [][2]string{{"detail", e.Detail}, {"hint", e.Hint}} {
		if part[1] != "" {
			out += "\n  " + part[0] + ": " + strings.ReplaceAll(part[1], "\n", "\n    ")
		}
	}
	return out + "\n"
}

func describeChange(before *catalog.Catalog, c Change) string {
	var out strings.Builder
	for _, n := range c.Notices {
		fmt.Fprintf(&out, "%s: %s\n", n.Severity, n.Message)
		if n.Detail != "" {
			fmt.Fprintf(&out, "  detail: %s\n", strings.ReplaceAll(n.Detail, "\n", "\n    "))
		}
	}
	out.WriteString(c.Tag + "\n")
	name := func(oid types.OID) string {
		for _, cat := range []*catalog.Catalog{c.Edit.Catalog(), before} {
			if r, ok := cat.ByOID(oid); ok {
				return r.Name
			}
		}
		return fmt.Sprint(oid)
	}
	for _, f := range c.Fills {
		fmt.Fprintf(&out, "  %s %s", f.Kind, name(f.Table))
		if f.Index != 0 {
			fmt.Fprintf(&out, " index %s", name(f.Index))
		}
		if f.Column != 0 {
			fmt.Fprintf(&out, " column %d", f.Column)
		}
		if f.Constraint != "" {
			fmt.Fprintf(&out, " constraint %s", f.Constraint)
		}
		if f.Kind == SetSequence {
			fmt.Fprintf(&out, " to %d", f.Value)
		}
		out.WriteString("\n")
	}
	if c.Then != nil {
		fmt.Fprintf(&out, "  then %s\n", sql.Print(c.Then))
	}
	return out.String()
}

// show draws a relation.
func (s *session) show(name string) string {
	r, err := s.cat.Resolve([]string{"public"}, strings.Split(name, "."))
	if err != nil {
		return describeError(err)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s.%s", words[r.Kind], r.Schema, r.Name)
	if owner, ok := s.cat.RoleByOID(r.Owner); ok && owner.Name != "helios" {
		fmt.Fprintf(&out, " of %s", owner.Name)
	}
	out.WriteString("\n")
	for _, c := range r.Columns {
		fmt.Fprintf(&out, "  %s\n", describeColumn(c))
	}
	for _, x := range r.AllIndexes() {
		fmt.Fprintf(&out, "  %s\n", describeIndex(r, x))
	}
	for _, k := range r.Constraints {
		if k.Kind == 'c' {
			fmt.Fprintf(&out, "  check %s (%s)%s\n", k.Name, k.Expr, map[bool]string{false: " not valid"}[k.Valid])
		}
	}
	if r.Kind == catalog.KindTable {
		fmt.Fprintf(&out, "  %s\n", describePlacement(s.cat, r))
	}
	if r.View != "" {
		fmt.Fprintf(&out, "  as %s\n", r.View)
	}
	if q := r.Sequence; q != nil {
		fmt.Fprintf(&out, "  %s start %d by %d from %d to %d cache %d cycle %t owner %d.%d\n",
			q.Type.Name(), q.Start, q.Increment, q.Min, q.Max, q.Cache, q.Cycle, q.OwnerTable, q.OwnerColumn)
	}
	if r.Comment != "" {
		fmt.Fprintf(&out, "  comment %q\n", r.Comment)
	}
	return out.String() + s.describeACL(r.ACL)
}

func (s *session) describeACL(acl []catalog.Grant) string {
	out := ""
	for _, g := range acl {
		name := ""
		if r, ok := s.cat.RoleByOID(g.Grantee); ok {
			name = r.Name
		}
		out += fmt.Sprintf("  grant %s=%s", name, g.Privileges)
		if g.WithGrant != "" {
			out += " with option " + g.WithGrant
		}
		out += "\n"
	}
	return out
}

func describeColumn(c catalog.Column) string {
	if c.Dropped {
		return fmt.Sprintf("%d dropped", c.Num)
	}
	out := fmt.Sprintf("%d %s %s", c.Num, c.Name, types.FormatType(c.Type))
	for _, part := range []struct {
		has  bool
		text string
	}{
		{c.Collation != "", " collate " + c.Collation},
		{c.NotNull, " not null"},
		{c.Generated != 0, " generated " + c.Default},
		{c.Generated == 0 && c.Default != "", " default " + c.Default},
		{c.Missing != "", " missing " + c.Missing},
		{c.Identity == 'a', " identity always"},
		{c.Identity == 'd', " identity by default"},
		{c.Hidden, " hidden"},
		{c.Comment != "", fmt.Sprintf(" comment %q", c.Comment)},
	} {
		if part.has {
			out += part.text
		}
	}
	return out
}

func describeIndex(r *catalog.Relation, x *catalog.Index) string {
	kind := "index"
	switch {
	case x.Primary:
		kind = "primary key"
	case x.Constraint:
		kind = "unique constraint"
	case x.Unique:
		kind = "unique index"
	}
	var keys []string
	for _, k := range x.Keys {
		text := k.Expr
		if k.Column != 0 {
			text = r.Columns[k.Column-1].Name
		}
		if k.OpClass != "" {
			text += " " + k.OpClass
		}
		if k.Desc {
			text += " desc"
		}
		keys = append(keys, text)
	}
	out := fmt.Sprintf("%s %s %s (%s)", kind, x.Name, x.Method, strings.Join(keys, ", "))
	for _, n := range x.Include {
		out += " include " + r.Columns[n-1].Name
	}
	if x.Where != "" {
		out += " where " + x.Where
	}
	if x.Hidden {
		out += " hidden"
	}
	return out
}

func describePlacement(cat *catalog.Catalog, r *catalog.Relation) string {
	p := r.Placement
	out := "placed by " + string(p.Strategy)
	name := func(n int16) string { return r.Columns[n-1].Name }
	for _, n := range p.KeyColumns {
		out += " " + name(n)
	}
	if p.ColocationID != 0 {
		out += fmt.Sprintf(" colocation %d", p.ColocationID)
	}
	if len(p.SplitAt) > 0 {
		out += fmt.Sprintf(" split at %q", p.SplitAt)
	}
	if p.ZoneColumn != 0 {
		out += fmt.Sprintf(" zones of %s %v", name(p.ZoneColumn), p.Zones)
	}
	if p.VectorColumn != 0 {
		out += fmt.Sprintf(" %s %s %s", name(p.VectorColumn), p.Metric, p.State)
		if p.NumCentroids != 0 {
			out += fmt.Sprintf(" %d centroids", p.NumCentroids)
		}
	}
	if loc, ok := cat.ByOID(p.Location); ok {
		out += " located by " + loc.Schema + "." + loc.Name
	}
	return out
}

// TestTranscripts runs testdata: "sql [user=…]" applies statements, "show" draws
// relations, "roles" lists roles, "schemas" lists schemas.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := newSession(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "sql":
				user := "helios"
				d.MaybeScanArgs(t, "user", &user)
				return s.run(user, d.Input)
			case "show":
				var out strings.Builder
				for _, name := range strings.Fields(d.Input) {
					out.WriteString(s.show(name))
				}
				return out.String()
			case "roles":
				return s.roles()
			case "schemas":
				var out strings.Builder
				for _, schema := range s.cat.Schemas() {
					fmt.Fprintf(&out, "%s %q\n%s", schema.Name, schema.Comment, s.describeACL(schema.ACL))
				}
				return out.String()
			}
			return "unknown command\n"
		})
	})
}

func (s *session) roles() string {
	var out strings.Builder
	for _, r := range s.cat.Roles() {
		var groups []string
		for _, oid := range r.MemberOf {
			if g, ok := s.cat.RoleByOID(oid); ok {
				groups = append(groups, g.Name)
			}
		}
		slices.Sort(groups)
		fmt.Fprintf(&out, "%s superuser=%t login=%t createrole=%t limit=%d password=%q until=%q in %v\n",
			r.Name, r.Superuser, r.Login, r.CreateRole, r.ConnLimit, r.Password, r.ValidUntil, groups)
	}
	return out.String()
}

// TestDeterminism holds that the same statements give the same rows: numbers included.
func TestDeterminism(t *testing.T) {
	const text = `CREATE TABLE a (id serial PRIMARY KEY, v vector(3) UNIQUE, c text CHECK (c <> '')) WITH (helios.strategy = 'reference');
		CREATE TABLE b (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v vector(3)) WITH (helios.strategy = 'vector');
		CREATE VIEW w AS SELECT * FROM a; CREATE INDEX ON a (c); CREATE ROLE joe; GRANT SELECT ON a TO joe;`
	one, two := newSession(t), newSession(t)
	if got, want := one.run("helios", text), two.run("helios", text); got != want {
		t.Errorf("outcomes differ:\n%s\n%s", got, want)
	}
	if got, want := fmt.Sprintf("%q", one.rows), fmt.Sprintf("%q", two.rows); got != want {
		t.Errorf("rows differ:\n%s\n%s", got, want)
	}
}
