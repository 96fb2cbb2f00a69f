package session

import (
	"slices"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// settingRows are the rows of pg_settings.
func settingRows(v *values) []types.Row {
	rows := make([]types.Row, 0, len(settingList))
	orNull := func(s string) types.Value {
		if s == "" {
			return types.Null
		}
		return types.Text(s)
	}
	for i := range settingList {
		s := &settingList[i]
		now, _ := v.get(s.name)
		atStart := &values{start: v.start}
		back, _ := atStart.get(s.name)
		source := "session"
		if now == s.boot {
			source = "default"
		}
		choices := types.Null
		if s.choices != nil {
			elems := make([]types.Value, len(s.choices))
			for i, c := range s.choices {
				elems[i] = types.Text(c)
			}
			choices = types.NewArray(types.TextOID, elems)
		}
		rows = append(rows, types.Row{
			types.Text(s.name), types.Text(now), orNull(s.unit), types.Text("Helios"), types.Text(s.about), types.Null,
			types.Text(s.context), types.Text(s.kind), types.Text(source), orNull(s.min), orNull(s.max), choices,
			types.Text(s.boot), types.Text(back), types.Null, types.Null, types.Bool(false),
		})
	}
	return rows
}

// objectRows are the rows of pg_prepared_statements and pg_cursors.
func (s *Session) objectRows(relation string) []types.Row {
	var rows []types.Row
	if relation == "pg_cursors" {
		for name, po := range s.portals {
			c := po.cursor
			rows = append(rows, types.Row{
				types.Text(name), types.Text(po.statement.parsed.Text), types.Bool(c != nil && c.hold),
				types.Bool(c != nil && c.binary), types.Bool(c != nil && c.scroll), timestamp(po.made),
			})
		}
		return rows
	}
	for name, st := range s.statements {
		if name == "" {
			continue
		}
		params := make([]types.Value, len(st.params))
		for i, p := range st.params {
			params[i] = types.Int(int64(p))
		}
		rows = append(rows, types.Row{
			types.Text(name), types.Text(st.parsed.Text), timestamp(st.made), types.NewArray(types.RegtypeOID, params),
			types.Bool(st.fromSQL), types.Int(0), types.Int(0),
		})
	}
	slices.SortFunc(rows, func(a, b types.Row) int { return types.Compare(a[0], b[0]) })
	return rows
}

// sessionUser is the value of session_authorization.
func (v *values) sessionUser() string {
	name, _ := v.get("session_authorization")
	return name
}

// belongs tells whether a role is a member of another, directly or not.
func belongs(find func(types.OID) (*catalog.Role, bool), member, group types.OID) bool {
	seen := map[types.OID]bool{}
	queue := []types.OID{member}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if next == group {
			return true
		}
		if role, ok := find(next); ok && !seen[next] {
			seen[next] = true
			queue = append(queue, role.MemberOf...)
		}
	}
	return false
}
