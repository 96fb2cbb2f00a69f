package pgwire

import (
	"context"
	"slices"

	"github.com/jackc/pgproto3/v2"
)

// authenticate runs the SASL conversation and sends AuthenticationOk.
func (c *conn) authenticate(ctx context.Context) error {
	exchange, err := c.server.opts.Auth.Begin(ctx, &c.info)
	if err != nil {
		return c.refuse(err)
	}
	if exchange != nil {
		if err := c.converse(exchange); err != nil {
			return err
		}
	}
	return c.out.message(&pgproto3.AuthenticationOk{})
}

// refuse logs why and tells the client only that it failed.
func (c *conn) refuse(err error) error {
	c.log.Info("authentication failed", "user", c.info.User, "err", err)
	return asFatal(err, "28P01", "password authentication failed for user %q", c.info.User)
}

// converse passes messages between the client and the exchange.
func (c *conn) converse(exchange Exchange) error {
	mechanisms := exchange.Mechanisms()
	if err := c.out.message(&pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms}); err != nil {
		return err
	}
	c.backend.SetAuthType(pgproto3.AuthTypeSASL)
	var mechanism string
	for first := true; ; first = false {
		if err := c.out.flush(); err != nil {
			return err
		}
		message, err := c.receive()
		if err != nil {
			return err
		}
		var data []byte
		switch m := message.(type) {
		case *pgproto3.SASLInitialResponse:
			mechanism, data = m.AuthMechanism, m.Data
			if !first || !slices.Contains(mechanisms, mechanism) {
				return fatalf("08P01", "client selected an invalid SASL authentication mechanism")
			}
		case *pgproto3.SASLResponse:
			data = m.Data
		default:
			return fatalf("08P01", "expected SASL response, got message type %d", c.in.kind)
		}
		reply, done, err := exchange.Step(mechanism, data)
		if err != nil {
			return c.refuse(err)
		}
		if done {
			return c.out.message(&pgproto3.AuthenticationSASLFinal{Data: reply})
		}
		c.backend.SetAuthType(pgproto3.AuthTypeSASLContinue)
		if err := c.out.message(&pgproto3.AuthenticationSASLContinue{Data: reply}); err != nil {
			return err
		}
	}
}
