package session

import (
	"context"
	"slices"
	"strings"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// set is SET, RESET and SET TRANSACTION.
func (s *Session) set(ctx context.Context, x *sql.Set) (string, error) {
	tag := "SET"
	if x.Reset {
		tag = "RESET"
	}
	switch x.Name {
	case "transaction":
		return tag, s.setTransaction(x, "transaction_")
	case "session characteristics":
		return tag, s.setTransaction(x, "default_transaction_")
	case "transaction snapshot":
		return "", types.Errorf("0A000", "SET TRANSACTION SNAPSHOT is not supported").
			WithHint("Use helios.session_token to hand a session's view to another.")
	case "constraints":
		return "SET CONSTRAINTS", s.setConstraints(x)
	case "all":
		s.setValues(s.values.reset())
		return tag, nil
	}
	if x.Reset || x.Values == nil {
		return tag, s.reset(ctx, x.Name)
	}
	value, err := settingText(x)
	if err != nil {
		return "", err
	}
	return tag, s.change(ctx, x.Name, value, x.Local)
}

// settingText gives the value of SET as one text; a list is quoted and joined.
func settingText(x *sql.Set) (string, error) {
	words := make([]string, len(x.Values))
	for i, v := range x.Values {
		word, err := settingWord(v)
		if err != nil {
			return "", err
		}
		words[i] = word
	}
	if len(words) == 1 && !strings.EqualFold(x.Name, "search_path") {
		return words[0], nil
	}
	return quoteNames(words), nil
}

func settingWord(v sql.Expr) (string, error) {
	switch v := v.(type) {
	case *sql.Literal:
		return v.Text, nil
	case *sql.ColumnRef:
		return v.Parts.String(), nil
	case *sql.Op:
		if v.Left == nil && v.Name == "-" {
			word, err := settingWord(v.Right)
			return "-" + word, err
		}
	case *sql.Cast:
		return intervalZone(v)
	}
	return "", types.Errorf("22023", "SET requires a constant value")
}

// intervalZone reads SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE.
func intervalZone(c *sql.Cast) (string, error) {
	word, err := settingWord(c.Arg)
	if err != nil || c.Type.Name[len(c.Type.Name)-1] != "interval" {
		return word, err
	}
	v, err := types.ParseText(types.T(types.IntervalOID), word, nil)
	if err != nil {
		return "", err
	}
	iv := v.AsInterval()
	if iv.Months != 0 || iv.Days != 0 {
		return "", types.Errorf("22023", "invalid value for parameter \"TimeZone\": \"%s\"", word).
			WithDetail("Cannot specify months or days in time zone interval.")
	}
	seconds := iv.Micros / 1e6
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	if seconds == 0 {
		return "UTC", nil
	}
	return sign + twoDigits(seconds/3600) + ":" + twoDigits(seconds/60%60), nil
}

func twoDigits(n int64) string { return string([]byte{byte('0' + n/10%10), byte('0' + n%10)}) }

// change puts a setting in force. Names the engine knows are offered to it.
func (s *Session) change(ctx context.Context, name, value string, local bool) error {
	if handled, err := s.offer(ctx, name, value); handled || err != nil {
		return err
	}
	if err := s.mayChange(name); err != nil {
		return err
	}
	key := strings.ToLower(name)
	if slices.Contains([]string{"transaction_isolation", "transaction_read_only", "transaction_deferrable"}, key) {
		return s.setCharacteristic(key, value)
	}
	value, err := s.checkSetting(name, value)
	if err != nil {
		return err
	}
	if local && s.tx.state == implicit && !s.tx.several {
		s.warn("25P01", "SET LOCAL can only be used in transaction blocks")
		return nil
	}
	s.setValues(s.values.with(name, value, local))
	s.followIdentity(key)
	return nil
}

// offer gives the engine a setting that is not declared here, or that is in its namespace.
func (s *Session) offer(ctx context.Context, name, value string) (bool, error) {
	if _, declared := findSetting(name); declared {
		return false, nil
	}
	return s.engine.Setting(ctx, s.info, strings.ToLower(name), value)
}

// mayChange refuses the settings that are not for this session to change: 55P02, 42501.
func (s *Session) mayChange(name string) error {
	decl, ok := findSetting(name)
	switch {
	case !ok:
		return nil
	case decl.context == "internal":
		return types.Errorf("55P02", "parameter \"%s\" cannot be changed", decl.name)
	case decl.context == "postmaster":
		return types.Errorf("55P02", "parameter \"%s\" cannot be changed without restarting the server", decl.name)
	case decl.context == "superuser" && !s.values.on("is_superuser"):
		return types.Errorf("42501", "permission denied to set parameter \"%s\"", decl.name)
	}
	return nil
}

// checkSetting gives the canonical form of a value.
func (s *Session) checkSetting(name, value string) (string, error) {
	decl, ok := findSetting(name)
	if !ok {
		return value, checkCustom(name)
	}
	switch decl.name {
	case "role", "session_authorization":
		return value, s.checkRole(decl.name, value)
	}
	return decl.check(value)
}

// checkRole tells whether the session may become a role: one it belongs to, or any for a
// superuser.
func (s *Session) checkRole(what, name string) error {
	cat := s.catalog()
	if what == "role" && name == "none" {
		return nil
	}
	role, ok := cat.Role(name)
	if !ok {
		return types.Errorf("22023", "role \"%s\" does not exist", name)
	}
	base := s.info.Login
	if what == "role" {
		base = s.values.sessionUser()
	}
	self, ok := cat.Role(base)
	switch {
	case ok && (self.Superuser || self.Name == name):
		return nil
	case what == "role" && ok && belongs(cat.RoleByOID, self.OID, role.OID):
		return nil
	case what == "role":
		return types.Errorf("42501", "permission denied to set role \"%s\"", name)
	}
	return types.Errorf("42501", "permission denied to set session authorization \"%s\"", name)
}

// followIdentity keeps is_superuser in step with who the session is.
func (s *Session) followIdentity(key string) {
	if key != "role" && key != "session_authorization" {
		return
	}
	if key == "session_authorization" {
		s.setValues(s.values.with("role", "none", false))
	}
	super := false
	if role, ok := s.catalog().Role(s.info.User()); ok {
		super = role.Superuser
	}
	s.setValues(s.values.with("is_superuser", onOff(super), false))
}

// reset is RESET of one name, and SET … TO DEFAULT.
func (s *Session) reset(ctx context.Context, name string) error {
	if _, declared := findSetting(name); !declared {
		if handled, err := s.engine.Setting(ctx, s.info, strings.ToLower(name), ""); handled || err != nil {
			return err
		}
		if _, set := s.values.get(name); !set {
			if err := checkCustom(name); err != nil {
				return err
			}
		}
	}
	if err := s.mayChange(name); err != nil {
		return err
	}
	s.setValues(s.values.without(name))
	s.followIdentity(strings.ToLower(name))
	return nil
}

// setTransaction is SET TRANSACTION and SET SESSION CHARACTERISTICS; prefix tells which
// settings they mean.
func (s *Session) setTransaction(x *sql.Set, prefix string) error {
	if prefix == "transaction_" && s.tx.state == implicit && !s.tx.several {
		s.warn("25P01", "SET TRANSACTION can only be used in transaction blocks")
		return nil
	}
	for _, v := range x.Values {
		mode, err := settingWord(v)
		if err != nil {
			return err
		}
		name, value := prefix+"isolation", ""
		switch level, ok := strings.CutPrefix(mode, "isolation level "); {
		case ok:
			value = level
		case strings.HasPrefix(mode, "read "):
			name, value = prefix+"read_only", onOff(mode == "read only")
		default:
			name, value = prefix+"deferrable", onOff(mode == "deferrable")
		}
		if prefix == "transaction_" {
			err = s.setCharacteristic(name, value)
		} else if value, err = s.checkSetting(name, value); err == nil {
			s.setValues(s.values.with(name, value, false))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setConstraints is SET CONSTRAINTS. Constraints are checked at the end of each statement,
// which is what IMMEDIATE asks for.
func (s *Session) setConstraints(x *sql.Set) error {
	mode, err := settingWord(x.Values[0])
	if err != nil {
		return err
	}
	if mode == "deferred" {
		return types.Errorf("0A000", "SET CONSTRAINTS … DEFERRED is not supported").
			WithHint("Constraints are checked at the end of each statement.")
	}
	if s.tx.state == implicit && !s.tx.several {
		s.warn("25P01", "SET CONSTRAINTS can only be used in transaction blocks")
	}
	return nil
}

// settingName gives a setting's name as declared.
func (s *Session) settingName(name string) string {
	if decl, ok := findSetting(name); ok {
		return decl.name
	}
	return name
}

// show is SHOW.
func (s *Session) show(x *sql.Show, po *portal, w pgwire.ResultWriter) (string, error) {
	if x.Name == "all" {
		var rows [][]string
		for i := range settingList {
			value, _ := s.values.show(settingList[i].name)
			rows = append(rows, []string{settingList[i].name, value, settingList[i].about})
		}
		return "SHOW", s.sendText(po, w, []string{"name", "setting", "description"}, rows)
	}
	value, ok := s.values.show(x.Name)
	if !ok {
		return "", unknownSetting(x.Name)
	}
	return "SHOW", s.sendText(po, w, []string{s.settingName(x.Name)}, [][]string{{value}})
}

// setFunction is set_config(): SET from inside a query.
func (s *Session) setFunction(name, value string, local bool) error {
	return s.change(context.Background(), name, value, local)
}

// engineSetting recognises SELECT helios.ctx(value), which routers send before a statement:
// it is SET helios.ctx in the form that takes a parameter, outside any transaction.
func engineSetting(stmt sql.Statement) (sql.Expr, bool) {
	sel, ok := stmt.(*sql.Select)
	if !ok || len(sel.Targets) != 1 || sel.From != nil || sel.Where != nil || sel.SetOp != "" || sel.With != nil {
		return nil, false
	}
	call, ok := sel.Targets[0].Expr.(*sql.FuncCall)
	if !ok || len(call.Args) != 1 || len(call.Name) != 2 || call.Name[0] != "helios" || call.Name[1] != "ctx" {
		return nil, false
	}
	return call.Args[0], true
}

// outsideTransactions tells whether a statement takes no part in transactions and so works
// in a failed one: the settings that a router gives a pooled connection.
func (s *Session) outsideTransactions(stmt sql.Statement) bool {
	if set, ok := stmt.(*sql.Set); ok {
		return strings.EqualFold(set.Name, "helios.ctx")
	}
	_, ok := engineSetting(stmt)
	return ok
}

// setEngine runs SELECT helios.ctx(value).
func (s *Session) setEngine(ctx context.Context, po *portal, value sql.Expr, w pgwire.ResultWriter) (string, error) {
	text := ""
	switch v := value.(type) {
	case *sql.Literal:
		text = v.Text
	case *sql.Param:
		if v.N > len(po.params) || po.params[v.N-1].IsNull() {
			return "", types.Errorf("22004", "helios.ctx needs a value")
		}
		text = po.params[v.N-1].AsText()
	default:
		return "", types.Errorf("22023", "helios.ctx takes a constant or a parameter")
	}
	handled, err := s.engine.Setting(ctx, s.info, "helios.ctx", text)
	if err == nil && !handled {
		err = types.Errorf("42883", "function helios.ctx(text) does not exist")
	}
	if err != nil {
		return "", err
	}
	return "SELECT 1", s.sendText(po, w, []string{"ctx"}, [][]string{{""}})
}

// discardState is DISCARD.
func (s *Session) discardState(ctx context.Context, what string) error {
	switch what {
	case "plans":
		return nil // plans are looked up anew by everything they depend on
	case "sequences":
		s.engine.Forget(ctx, s.info, ForgetSequences)
		return nil
	case "temp":
		s.engine.Forget(ctx, s.info, ForgetTemp)
		return nil
	}
	if err := s.outsideBlock("DISCARD ALL"); err != nil {
		return err
	}
	for name := range s.portals {
		s.closePortal(name)
	}
	clear(s.statements)
	next := &values{start: s.values.start, session: map[string]string{}, local: map[string]string{}}
	s.setValues(next)
	s.engine.Forget(ctx, s.info, ForgetAll)
	return nil
}
