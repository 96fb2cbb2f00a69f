package session

import (
	"context"
	"slices"
	"time"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// blockState is where a session stands between BEGIN and COMMIT.
type blockState uint8

const (
	idle     blockState = iota
	implicit            // began by itself: ends with the query string, or at Sync
	inBlock             // after BEGIN
	failed              // after BEGIN and an error: only its end is allowed
)

// transaction is the session's side of a transaction.
type transaction struct {
	state      blockState
	tx         Tx      // nil until a statement needs it, and when it has been rolled back
	several    bool    // implicit, over a query string of several statements
	only       bool    // implicit, and the running statement is all of it
	ran        bool    // a statement has taken a snapshot: the isolation level is fixed
	ddl        bool    // its catalog is its own: plans are not shared
	before     *values // what a rollback restores
	savepoints []savepoint
	start      time.Time
}

// savepoint remembers the settings at SAVEPOINT.
type savepoint struct {
	name   string
	values *values
}

// startStatement puts the session into a transaction for a statement, or refuses it in a
// failed one.
func (s *Session) startStatement(stmt sql.Statement, several bool) error {
	if s.tx.state == failed && !endsTransaction(stmt) && !s.outsideTransactions(stmt) {
		return errFailedBlock()
	}
	if s.tx.state == idle {
		s.startBlock(implicit)
		s.tx.several = several
	}
	return nil
}

func errFailedBlock() error {
	return types.Errorf("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

// endsTransaction tells whether a failed transaction lets a statement run.
func endsTransaction(stmt sql.Statement) bool {
	t, ok := stmt.(*sql.Transaction)
	return ok && (t.Kind == "commit" || t.Kind == "rollback" || t.Kind == "rollback to" || t.Kind == "prepare")
}

func (s *Session) startBlock(state blockState) {
	s.tx = transaction{state: state, before: s.values, start: time.Now()}
	s.info.changeActivity(func(a *Activity) { a.TxStart = s.tx.start })
}

// begun gives the engine's transaction, which begins with the first statement that needs it.
func (s *Session) begun(ctx context.Context) (Tx, error) {
	if s.tx.tx != nil {
		return s.tx.tx, nil
	}
	o := TxOptions{ReadOnly: s.values.on("transaction_read_only"), Implicit: s.tx.state == implicit, Alone: s.tx.state == implicit && s.tx.only, Info: s.info}
	if level, _ := s.values.get("transaction_isolation"); level == "repeatable read" {
		o.Isolation = RepeatableRead
	}
	tx, err := s.engine.Begin(ctx, o)
	if err != nil {
		return nil, err
	}
	s.tx.tx = tx
	return tx, nil
}

// endBlock forgets the transaction and its portals; v are the settings from now on.
func (s *Session) endBlock(v *values) {
	s.tx = transaction{}
	s.setValues(v)
	s.closeTransactionPortals()
	s.info.changeActivity(func(a *Activity) { a.TxStart = time.Time{} })
}

// commit commits; if that fails, the transaction is rolled back, its settings too.
func (s *Session) commit(ctx context.Context) error {
	if err := s.holdCursors(ctx); err != nil {
		return err
	}
	before, tx := s.tx.before, s.tx.tx
	s.closeResults()
	if tx != nil {
		s.tx.tx = nil
		if err := tx.Commit(ctx); err != nil {
			s.endBlock(before)
			return err
		}
	}
	s.endBlock(s.values.committed())
	return nil
}

// rollback rolls back, if there is a transaction. Its error is nothing to a client: the
// transaction is over in any case.
func (s *Session) rollback(ctx context.Context) {
	if s.tx.state == idle {
		return
	}
	before, tx := s.tx.before, s.tx.tx
	s.closeResults()
	if tx != nil {
		s.tx.tx = nil
		tx.Rollback(ctx)
	}
	s.dropNewHolds()
	s.endBlock(before)
}

// abort is what an error does: an implicit transaction is rolled back, a block fails. A
// block without savepoints gives up its locks at once.
func (s *Session) abort(ctx context.Context) {
	switch s.tx.state {
	case implicit:
		s.rollback(ctx)
	case inBlock:
		s.tx.state = failed
		if len(s.tx.savepoints) > 0 {
			return // after ROLLBACK TO the portals made before go on
		}
		s.closeResults()
		if s.tx.tx != nil {
			tx := s.tx.tx
			s.tx.tx = nil
			tx.Rollback(ctx)
		}
	}
}

// control runs BEGIN, COMMIT and their like, and gives the command tag.
func (s *Session) control(ctx context.Context, t *sql.Transaction) (string, error) {
	switch t.Kind {
	case "begin":
		return "BEGIN", s.beginBlock(t)
	case "commit":
		return s.commitBlock(ctx, t.Chain)
	case "rollback":
		return s.rollbackBlock(ctx, t.Chain)
	case "savepoint":
		return "SAVEPOINT", s.savepoint(ctx, t.Name)
	case "release":
		return "RELEASE", s.release(ctx, t.Name)
	case "rollback to":
		return "ROLLBACK", s.rollbackTo(ctx, t.Name)
	case "prepare":
		return s.prepareTransaction(ctx, t.Name)
	case "commit prepared", "rollback prepared":
		return s.endPrepared(ctx, t)
	}
	return "", types.Errorf("XX000", "transaction statement of kind %q", t.Kind)
}

// beginBlock turns the implicit transaction that the BEGIN itself (or the statements
// before it) started into a block.
func (s *Session) beginBlock(t *sql.Transaction) error {
	if s.tx.state == inBlock {
		s.warn("25001", "there is already a transaction in progress")
	}
	s.tx.state = inBlock
	return s.setModes(t)
}

// setModes applies the modes of BEGIN.
func (s *Session) setModes(t *sql.Transaction) error {
	if t.Isolation != "" {
		if err := s.setCharacteristic("transaction_isolation", t.Isolation); err != nil {
			return err
		}
	}
	for name, on := range map[string]*bool{"transaction_read_only": t.ReadOnly, "transaction_deferrable": t.Deferrable} {
		if on == nil {
			continue
		}
		if err := s.setCharacteristic(name, onOff(*on)); err != nil {
			return err
		}
	}
	return nil
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// setCharacteristic changes a property of the running transaction, within the rules of
// when it may change.
func (s *Session) setCharacteristic(name, value string) error {
	decl, _ := findSetting(name)
	value, err := decl.check(value)
	if err != nil {
		return err
	}
	now, _ := s.values.get(name)
	switch {
	case now == value:
	case name == "transaction_isolation" && s.tx.ran:
		return types.Errorf("25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query")
	case name == "transaction_isolation" && len(s.tx.savepoints) > 0:
		return types.Errorf("25001", "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
	case name == "transaction_read_only" && value == "off" && s.tx.ran:
		return types.Errorf("25001", "transaction read-write mode must be set before any query")
	case name == "transaction_read_only" && value == "on" && s.tx.tx != nil && !s.tx.ran:
		return types.Errorf("25001", "transaction read-only mode must be set before any savepoint")
	}
	s.setValues(s.values.with(name, value, true))
	return nil
}

func (s *Session) warn(code, message string) {
	e := types.Errorf(code, "%s", message)
	e.Severity = "WARNING"
	s.info.Notice(e)
}

func (s *Session) commitBlock(ctx context.Context, chain bool) (string, error) {
	switch s.tx.state {
	case failed:
		return s.rollbackBlock(ctx, chain)
	case implicit:
		if chain {
			return "", errNeedsBlock("COMMIT AND CHAIN")
		}
		s.warn("25P01", "there is no transaction in progress")
	}
	kept := s.characteristics()
	if err := s.commit(ctx); err != nil {
		return "", err
	}
	s.chain(chain, kept)
	return "COMMIT", nil
}

func (s *Session) rollbackBlock(ctx context.Context, chain bool) (string, error) {
	if s.tx.state == implicit {
		if chain {
			return "", errNeedsBlock("ROLLBACK AND CHAIN")
		}
		s.warn("25P01", "there is no transaction in progress")
	}
	kept := s.characteristics()
	s.rollback(ctx)
	s.chain(chain, kept)
	return "ROLLBACK", nil
}

// characteristics are the properties that AND CHAIN hands on.
func (s *Session) characteristics() map[string]string {
	out := make(map[string]string)
	for _, name := range []string{"transaction_isolation", "transaction_read_only", "transaction_deferrable"} {
		out[name], _ = s.values.get(name)
	}
	return out
}

func (s *Session) chain(chain bool, kept map[string]string) {
	if !chain {
		return
	}
	s.startBlock(inBlock)
	for name, value := range kept {
		s.setValues(s.values.with(name, value, true))
	}
}

// errNeedsBlock is PostgreSQL's error for a statement outside a transaction block.
func errNeedsBlock(what string) error {
	return types.Errorf("25P01", "%s can only be used in transaction blocks", what)
}

func (s *Session) savepoint(ctx context.Context, name string) error {
	if s.tx.state != inBlock {
		return errNeedsBlock("SAVEPOINT")
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return err
	}
	if err := tx.Savepoint(ctx, name); err != nil {
		return err
	}
	s.tx.savepoints = append(s.tx.savepoints, savepoint{name, s.values})
	return nil
}

// findSavepoint gives the place of the newest savepoint of a name.
func (s *Session) findSavepoint(name string) (int, error) {
	for i, sp := range slices.Backward(s.tx.savepoints) {
		if sp.name == name {
			return i, nil
		}
	}
	return 0, types.Errorf("3B001", "savepoint \"%s\" does not exist", name)
}

func (s *Session) release(ctx context.Context, name string) error {
	if s.tx.state != inBlock {
		return errNeedsBlock("RELEASE SAVEPOINT")
	}
	i, err := s.findSavepoint(name)
	if err != nil {
		return err
	}
	if err := s.tx.tx.Release(ctx, name); err != nil {
		return err
	}
	s.tx.savepoints = s.tx.savepoints[:i]
	return nil
}

func (s *Session) rollbackTo(ctx context.Context, name string) error {
	if s.tx.state == implicit {
		return errNeedsBlock("ROLLBACK TO SAVEPOINT")
	}
	i, err := s.findSavepoint(name)
	if err != nil {
		return err
	}
	s.closePortalsSince(ctx, i)
	if err := s.tx.tx.RollbackTo(ctx, name); err != nil {
		return err
	}
	s.setValues(s.tx.savepoints[i].values)
	s.tx.savepoints = s.tx.savepoints[:i+1]
	s.tx.state = inBlock
	return nil
}

func (s *Session) prepareTransaction(ctx context.Context, gid string) (string, error) {
	switch s.tx.state {
	case failed:
		return s.rollbackBlock(ctx, false)
	case implicit:
		s.warn("25P01", "there is no transaction in progress")
		s.rollback(ctx)
		return "ROLLBACK", nil
	}
	if len(gid) >= 200 {
		return "", types.Errorf("22023", "transaction identifier \"%s\" is too long", gid)
	}
	if s.hasHold() {
		return "", types.Errorf("0A000", "cannot PREPARE a transaction that has created a cursor WITH HOLD")
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return "", err
	}
	before := s.tx.before
	s.closeResults()
	s.tx.tx = nil
	if err := tx.Prepare(ctx, gid); err != nil {
		s.endBlock(before)
		return "", err
	}
	s.endBlock(s.values.committed())
	return "PREPARE TRANSACTION", nil
}

func (s *Session) endPrepared(ctx context.Context, t *sql.Transaction) (string, error) {
	if t.Kind == "commit prepared" {
		if err := s.outsideBlock("COMMIT PREPARED"); err != nil {
			return "", err
		}
		return "COMMIT PREPARED", s.engine.CommitPrepared(ctx, s.info, t.Name)
	}
	if err := s.outsideBlock("ROLLBACK PREPARED"); err != nil {
		return "", err
	}
	return "ROLLBACK PREPARED", s.engine.RollbackPrepared(ctx, s.info, t.Name)
}

// outsideBlock refuses what cannot be part of a larger transaction.
func (s *Session) outsideBlock(what string) error {
	if s.tx.state != implicit || s.tx.several || s.tx.ran {
		return types.Errorf("25001", "%s cannot run inside a transaction block", what)
	}
	return nil
}
