package plan

import (
	"fmt"
	"strings"

	"github.com/heliosdb/helios/sql"
)

// Explain prints a plan as lines of text in the manner of PostgreSQL's EXPLAIN (COSTS
// OFF). gather gives what an engine knows of a Gather, such as "shards=2/3 cells=5/64";
// it may be nil.
func Explain(root Node, gather func(*Gather) string) []string {
	x := &explainer{gather: gather}
	x.node(root, 0, "")
	return x.lines
}

type explainer struct {
	lines  []string
	gather func(*Gather) string
	plans  int
}

// line writes one line at a depth: the first of a node has an arrow below the root.
func (x *explainer) line(depth int, head bool, text string) {
	indent := strings.Repeat(" ", 6*depth)
	switch {
	case head && depth > 0:
		indent = indent[:len(indent)-4] + "->  "
	case !head:
		indent += "  "
	}
	x.lines = append(x.lines, indent+text)
}

// detail writes a property of a node.
func (x *explainer) detail(depth int, name, value string) {
	if value != "" {
		x.line(depth, false, name+": "+value)
	}
}

// node writes a node and what is below it; note is a condition of a node that was left out.
func (x *explainer) node(n Node, depth int, note string) {
	switch n := n.(type) {
	case *Project:
		x.node(n.Input, depth, note)
		x.subPlans(n, depth)
		return
	case *Filter:
		p := x.printer(n.Input)
		cond := p.expr(n.Cond)
		if note != "" {
			cond = "(" + cond + " AND " + note + ")"
		}
		x.node(n.Input, depth, cond)
		x.subPlans(n, depth)
		return
	case *Scan:
		x.scan(n, depth, note)
		return
	case *With:
		x.with(n, depth, note)
		return
	case *InitPlans:
		x.initPlans(n, depth)
		return
	}
	x.line(depth, true, x.title(n))
	x.details(n, depth)
	x.detail(depth, "Filter", note)
	if g, ok := n.(*Gather); ok {
		x.node(g.Fragment, depth+1, "")
	}
	for _, in := range n.Inputs() {
		x.node(in, depth+1, "")
	}
	x.subPlans(n, depth)
}

func (x *explainer) title(n Node) string {
	switch n := n.(type) {
	case *Values:
		if len(n.Rows) == 1 {
			return "Result"
		}
		return "Values Scan"
	case *FuncScan:
		return "Function Scan on " + n.Alias
	case *CTEScan:
		return aliased("CTE Scan on "+n.CTE.Name, n.CTE.Name, n.Alias)
	case *WorkScan:
		return aliased("WorkTable Scan on "+n.CTE.Name, n.CTE.Name, n.Alias)
	case *ProjectSet:
		return "ProjectSet"
	case *Sort:
		return "Sort"
	case *Limit:
		return "Limit"
	case *Aggregate:
		if len(n.Group) == 0 {
			return "Aggregate"
		}
		return "HashAggregate"
	case *Distinct:
		return "Unique"
	case *WindowAgg:
		return "WindowAgg"
	case *Lock:
		return "LockRows"
	case *Join:
		return joinTitle(n)
	case *SetOp:
		return setOpTitle(n)
	case *Insert:
		return "Insert on " + n.Rel.Name
	case *Update:
		return "Update on " + n.Rel.Name
	case *Delete:
		return "Delete on " + n.Rel.Name
	case *Gather:
		return x.gatherTitle(n)
	}
	return fmt.Sprintf("%T", n)
}

func (x *explainer) gatherTitle(n *Gather) string {
	title := "Helios Gather"
	switch {
	case n.KNN != nil:
		title = "Helios Gather Nearest"
	case len(n.MergeKeys) > 0:
		title = "Helios Gather Merge"
	}
	if x.gather != nil {
		if known := x.gather(n); known != "" {
			title += " (" + known + ")"
		}
	}
	return title
}

func aliased(text, name, alias string) string {
	if alias != "" && alias != name {
		return text + " " + sql.QuoteIdent(alias)
	}
	return text
}

func joinTitle(n *Join) string {
	kind := map[JoinKind]string{LeftJoin: " Left", RightJoin: " Right", FullJoin: " Full", SemiJoin: " Semi", AntiJoin: " Anti"}[n.Kind]
	switch {
	case len(n.Keys) == 0 && kind == "":
		return "Nested Loop"
	case len(n.Keys) == 0:
		return "Nested Loop" + kind + " Join"
	}
	return "Hash" + kind + " Join"
}

func setOpTitle(n *SetOp) string {
	all := ""
	if n.All {
		all = " All"
	}
	switch n.Op {
	case "union":
		if n.All {
			return "Append"
		}
		return "HashAggregate (Union)"
	case "intersect":
		return "HashSetOp Intersect" + all
	}
	return "HashSetOp Except" + all
}

// scan writes a scan, its index conditions and its filter.
func (x *explainer) scan(n *Scan, depth int, note string) {
	title := "Seq Scan on "
	switch {
	case n.Nearest != nil:
		title = "Nearest Scan on "
	case n.Access != nil:
		title = "Index Scan using " + sql.QuoteIdent(n.Access.Index.Name) + " on "
	}
	x.line(depth, true, aliased(title+sql.QuoteIdent(n.Rel.Name), n.Rel.Name, n.Alias))
	p := x.printer(n)
	if n.Access != nil {
		x.detail(depth, "Index Cond", p.access(n))
	}
	if n.Nearest != nil {
		col := n.Rel.Columns[n.Nearest.Column-1].Name
		x.detail(depth, "Order By", fmt.Sprintf("(%s %s %s)", sql.QuoteIdent(col), n.Nearest.Op, p.expr(n.Nearest.Query)))
	}
	filter := p.expr(conjoin(n.unindexed()))
	if note != "" {
		if filter != "" {
			note = "(" + filter + " AND " + note + ")"
		}
		filter = note
	}
	x.detail(depth, "Filter", filter)
}

func (x *explainer) with(n *With, depth int, note string) {
	x.node(n.Body, depth, note)
	for _, c := range n.CTEs {
		x.line(depth, false, "CTE "+c.Name)
		if c.Recursive != nil {
			x.line(depth+1, true, "Recursive Union")
			x.node(c.Plan, depth+2, "")
			x.node(c.Recursive, depth+2, "")
			continue
		}
		x.node(c.Plan, depth+1, "")
	}
}

func (x *explainer) initPlans(n *InitPlans, depth int) {
	x.plans = len(n.Plans)
	x.node(n.Body, depth, "")
	for i, s := range n.Plans {
		x.line(depth, false, "InitPlan "+itoa(i+1))
		x.node(s.Plan, depth+1, "")
	}
}

// subPlans writes the plans inside a node's expressions.
func (x *explainer) subPlans(n Node, depth int) {
	eachExpr(n, func(e Expr) {
		Walk(e, func(e Expr) bool {
			if s, ok := e.(*SubPlan); ok {
				x.plans++
				kind := "SubPlan "
				if len(s.Args) == 0 {
					kind = "InitPlan "
				}
				x.line(depth, false, kind+itoa(x.plans))
				x.node(s.Plan, depth+1, "")
			}
			return true
		})
	})
}

// details writes what a node does.
func (x *explainer) details(n Node, depth int) {
	switch n := n.(type) {
	case *Sort:
		x.detail(depth, "Sort Key", x.printer(n.Input).keys(n.Keys))
	case *Aggregate:
		x.detail(depth, "Group Key", x.printer(n.Input).list(n.Group))
	case *Distinct:
		x.detail(depth, "Unique Key", x.printer(n.Input).list(n.On))
	case *FuncScan:
		x.detail(depth, "Function Call", x.printer().list(n.Funcs))
	case *WindowAgg:
		p := x.printer(n.Input)
		x.detail(depth, "Partition", p.list(n.Partition))
		x.detail(depth, "Order", p.keys(n.Order))
	case *Join:
		p := x.printer(n.Left, n.Right)
		var conds []string
		for _, k := range n.Keys {
			conds = append(conds, fmt.Sprintf("(%s = %s)", x.printer(n.Left).expr(k.Left), x.printer(n.Right).expr(k.Right)))
		}
		x.detail(depth, "Hash Cond", strings.Join(conds, " AND "))
		if n.Cond != nil {
			x.detail(depth, "Join Filter", p.expr(n.Cond))
		}
		if n.Probe != nil {
			x.detail(depth, "Probe Index", probeIndex(n.Probe))
		}
	case *Gather:
		x.detail(depth, "Merge Key", x.printer(n.Fragment).keys(n.MergeKeys))
		text, _ := n.SQL()
		x.detail(depth, "Shard Query", text)
	case *Insert:
		if o := n.OnConflict; o != nil {
			resolution := "NOTHING"
			if o.DoUpdate {
				resolution = "UPDATE"
			}
			x.detail(depth, "Conflict Resolution", resolution)
			var names []string
			for _, a := range o.Arbiters {
				names = append(names, a.Name)
			}
			x.detail(depth, "Conflict Arbiter Indexes", strings.Join(names, ", "))
		}
	}
}

func probeIndex(n Node) string {
	if p, ok := n.(*Project); ok {
		n = p.Input
	}
	return sql.QuoteIdent(n.(*Scan).Access.Index.Name)
}
