package plan

// Cols of each node.
func (n *Values) Cols() []Col     { return n.Columns }
func (n *Scan) Cols() []Col       { return n.Columns }
func (n *FuncScan) Cols() []Col   { return n.Columns }
func (n *With) Cols() []Col       { return n.Body.Cols() }
func (n *CTEScan) Cols() []Col    { return n.Columns }
func (n *WorkScan) Cols() []Col   { return n.Columns }
func (n *Filter) Cols() []Col     { return n.Input.Cols() }
func (n *Project) Cols() []Col    { return n.Columns }
func (n *ProjectSet) Cols() []Col { return n.Columns }
func (n *Sort) Cols() []Col       { return n.Input.Cols() }
func (n *Limit) Cols() []Col      { return n.Input.Cols() }
func (n *Aggregate) Cols() []Col  { return n.Columns }
func (n *Distinct) Cols() []Col   { return n.Input.Cols() }
func (n *WindowAgg) Cols() []Col  { return n.Columns }
func (n *Lock) Cols() []Col       { return n.Input.Cols() }
func (n *SetOp) Cols() []Col      { return n.Columns }
func (n *Insert) Cols() []Col     { return n.Columns }
func (n *Update) Cols() []Col     { return n.Columns }
func (n *Delete) Cols() []Col     { return n.Columns }
func (n *Join) Cols() []Col       { return n.Columns }

// Inputs of each node.
func (n *Values) Inputs() []Node     { return nil }
func (n *Scan) Inputs() []Node       { return nil }
func (n *FuncScan) Inputs() []Node   { return nil }
func (n *CTEScan) Inputs() []Node    { return nil }
func (n *WorkScan) Inputs() []Node   { return nil }
func (n *Filter) Inputs() []Node     { return []Node{n.Input} }
func (n *Project) Inputs() []Node    { return []Node{n.Input} }
func (n *ProjectSet) Inputs() []Node { return []Node{n.Input} }
func (n *Sort) Inputs() []Node       { return []Node{n.Input} }
func (n *Limit) Inputs() []Node      { return []Node{n.Input} }
func (n *Aggregate) Inputs() []Node  { return []Node{n.Input} }
func (n *Distinct) Inputs() []Node   { return []Node{n.Input} }
func (n *WindowAgg) Inputs() []Node  { return []Node{n.Input} }
func (n *Lock) Inputs() []Node       { return []Node{n.Input} }
func (n *Join) Inputs() []Node       { return []Node{n.Left, n.Right} }
func (n *SetOp) Inputs() []Node      { return []Node{n.Left, n.Right} }
func (n *Insert) Inputs() []Node     { return []Node{n.Source} }
func (n *Update) Inputs() []Node     { return []Node{n.Source} }
func (n *Delete) Inputs() []Node     { return []Node{n.Source} }

// Inputs of a With are its expressions' plans and then the body.
func (n *With) Inputs() []Node {
	var out []Node
	for _, c := range n.CTEs {
		out = append(out, c.Plan)
		if c.Recursive != nil {
			out = append(out, c.Recursive)
		}
	}
	return append(out, n.Body)
}
