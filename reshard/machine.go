package reshard

import (
	"github.com/heliosdb/helios/hlc"
)

// Kind of an event or effect.
type Kind string

// Events: what a shard or the control store answered.
const (
	Start     Kind = "start"     // a driver takes the move up, also after another driver's death
	Copied    Kind = "copied"    // the target holds the snapshot and follows the log closely
	Equal     Kind = "equal"     // both digests agree
	Differ    Kind = "differ"    // they do not
	IsSealed  Kind = "sealed"    // the source takes no writes of the units
	IsDrained Kind = "drained"   // nothing undecided is left there, the target has all, digests agree
	ReadsOff  Kind = "reads off" // the source serves no fresh reads; Time is the record's
	Lost      Kind = "lost"      // the source or its seal is gone: it undid the seal, or failed over and back
	FlipDone  Kind = "flip done" // the control store made the target the owner
	FlipLost  Kind = "flip lost" // the source was faster with its undoing
	Serving   Kind = "serving"   // the target serves the units
	Cleaned   Kind = "cleaned"   // the source (or, aborting, the target) dropped its rows
	Failed    Kind = "failed"    // the call failed and may be tried again; Text says why
	Cancel    Kind = "cancel"    // an operator asked for an abort
)

// Effects: what the driver does next. Each is idempotent, because a new driver repeats
// the last one.
const (
	Copy     Kind = "copy"      // have the target copy and follow
	Compare  Kind = "compare"   // compare digests at one timestamp
	Seal     Kind = "seal"      // have the source seal, with a deadline
	Drain    Kind = "drain"     // wait for the drain, compare digests at the seal
	StopRead Kind = "stop read" // have the source log reads-off
	Unseal   Kind = "unseal"    // compare-and-set the source as owner with the next epoch: it ends seal and reads-off
	Flip     Kind = "flip"      // compare-and-set the owner, with Time as floor
	Await    Kind = "await"     // wait until the target serves
	Clean    Kind = "clean"     // drop the rows at the source
	Discard  Kind = "discard"   // unseal, then drop the copied rows at the target
	Retry    Kind = "retry"     // do Again after a pause
	Save     Kind = "save"      // store the job: the state has changed
)

// Event is an input of Step.
type Event struct {
	Kind   Kind
	Time   hlc.Timestamp
	Text   string
	Epochs []uint32 // of the units, with Equal
}

// Effect is an output of Step.
type Effect struct {
	Kind  Kind
	Time  hlc.Timestamp
	Again Kind // of Retry
}

// maxRetries bounds the tries before a move is given up. After the flip there is no
// giving up.
const maxRetries = 60

// canceled is the error of what an operator has ended.
const canceled = "canceled by an operator"

// Step advances a move. The first effect of a new state is always Save.
func (m *Move) Step(e Event) []Effect {
	if m.State.Ended() {
		return nil
	}
	if e.Kind == Start {
		return m.resume()
	}
	if e.Kind == Cancel {
		if m.forward() || m.State == Aborting {
			return nil
		}
		return m.abort(canceled)
	}
	switch m.State {
	case Planned, Copying:
		return m.stepCopying(e)
	case Verifying:
		return m.stepVerifying(e)
	case Sealed, Drained:
		return m.stepSealed(e)
	case Flipped, Cleaning:
		return m.stepFlipped(e)
	case Aborting:
		return m.stepAborting(e)
	}
	return nil
}

// forward tells that the commit point may have been passed: only forward from here. In
// state drained the flip may have been sent, so the control store has to be asked.
func (m *Move) forward() bool { return m.State == Drained || m.State == Flipped || m.State == Cleaning }

// resume gives the effect that the state stands for.
func (m *Move) resume() []Effect {
	switch m.State {
	case Planned, Copying, Verifying, Sealed:
		// A new driver starts the copy over from the target's cursors; a seal it does not
		// know the age of is given back first.
		sealed := m.State == Sealed
		m.State = Copying
		if sealed {
			return []Effect{{Kind: Save}, {Kind: Unseal}, {Kind: Copy}}
		}
		return []Effect{{Kind: Save}, {Kind: Copy}}
	case Drained:
		return []Effect{{Kind: Flip, Time: m.Floor}}
	case Flipped:
		return []Effect{{Kind: Await}}
	case Cleaning:
		return []Effect{{Kind: Clean}}
	case Aborting:
		return []Effect{{Kind: Discard}}
	}
	return nil
}

func (m *Move) to(s State, effects ...Effect) []Effect {
	m.State = s
	return append([]Effect{{Kind: Save}}, effects...)
}

func (m *Move) abort(why string) []Effect {
	m.Error = why
	return m.to(Aborting, Effect{Kind: Discard})
}

// again repeats an effect after a pause, or gives up. A move that is being aborted keeps
// the reason for that.
func (m *Move) again(kind Kind, why string) []Effect {
	m.Retries++
	if m.State != Aborting {
		m.Error = why
	}
	if m.Retries > maxRetries && !m.forward() && m.State != Aborting {
		return m.abort(why)
	}
	return []Effect{{Kind: Retry, Again: kind}}
}

func (m *Move) stepCopying(e Event) []Effect {
	switch e.Kind {
	case Copied:
		return m.to(Verifying, Effect{Kind: Compare})
	case Failed:
		return m.again(Copy, e.Text)
	}
	return nil
}

func (m *Move) stepVerifying(e Event) []Effect {
	switch e.Kind {
	case Equal:
		// They are stored ahead of the seal: whoever takes the move up gives the units back
		// by them.
		m.Error, m.Epochs = "", e.Epochs
		return m.to(Sealed, Effect{Kind: Seal})
	case Differ:
		return m.abort("the copy differs from the source: " + e.Text)
	case Failed:
		return m.again(Compare, e.Text)
	}
	return nil
}

// stepSealed: seal → drain → reads off → flip. Anything that goes wrong gives the units
// back and tries again from the comparison; the copy keeps following meanwhile.
func (m *Move) stepSealed(e Event) []Effect {
	switch e.Kind {
	case IsSealed:
		return []Effect{{Kind: Drain}}
	case IsDrained:
		return []Effect{{Kind: StopRead}}
	case ReadsOff:
		m.Floor = e.Time
		return m.to(Drained, Effect{Kind: Flip, Time: e.Time})
	case Differ:
		return m.abort("the copy differs from the source at the seal: " + e.Text)
	case FlipDone:
		m.Error = ""
		return m.to(Flipped, Effect{Kind: Await})
	case FlipLost:
		m.Retries++
		return m.to(Verifying, Effect{Kind: Retry, Again: Compare})
	case Failed, Lost:
		if m.State == Drained { // the flip's answer was lost: ask again
			return m.again(Flip, e.Text)
		}
		m.Error = e.Text
		m.Retries++
		if m.Retries > maxRetries {
			return m.abort(e.Text)
		}
		return m.to(Verifying, Effect{Kind: Unseal}, Effect{Kind: Retry, Again: Compare})
	}
	return nil
}

func (m *Move) stepFlipped(e Event) []Effect {
	switch e.Kind {
	case Serving:
		m.Error = ""
		return m.to(Cleaning, Effect{Kind: Clean})
	case Cleaned:
		m.Error = ""
		return m.to(Done)
	case Failed:
		if m.State == Flipped {
			return m.again(Await, e.Text)
		}
		return m.again(Clean, e.Text)
	}
	return nil
}

func (m *Move) stepAborting(e Event) []Effect {
	switch e.Kind {
	case Cleaned:
		return m.to(Aborted)
	case Failed:
		return m.again(Discard, e.Text)
	}
	return nil
}
