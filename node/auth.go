package node

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// gatekeeper lets clients in by the verifiers of the catalog, and routers by the
// cluster's secret.
type gatekeeper struct {
	scram    *auth.Scram
	throttle auth.Throttle
}

func newGatekeeper(secret string, current func() *catalog.Catalog) (*gatekeeper, error) {
	router, err := auth.NewVerifier(secret)
	if err != nil {
		return nil, err
	}
	scram, err := auth.NewScram(func(_ context.Context, user string) (auth.Verifier, bool, error) {
		if user == shard.RouterRole {
			return router, true, nil
		}
		cat := current()
		if cat == nil {
			return auth.Verifier{}, false, types.Errorf("57P03", "the database system is starting up")
		}
		role, ok := cat.Role(user)
		if !ok || role.Password == "" {
			return auth.Verifier{}, false, nil
		}
		v, err := auth.ParseVerifier(role.Password)
		return v, err == nil, err
	}, auth.NewSecret())
	return &gatekeeper{scram: scram}, err
}

// Begin starts an exchange; one who guessed wrong before waits.
func (g *gatekeeper) Begin(ctx context.Context, info *pgwire.ConnInfo) (pgwire.Exchange, error) {
	host := ""
	if info.Remote != nil {
		host, _, _ = net.SplitHostPort(info.Remote.String())
	}
	if wait := g.throttle.Wait(info.User, host, time.Now()); wait > 0 && info.User != shard.RouterRole {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var endpoint *x509.Certificate
	e, err := g.scram.Begin(ctx, info.User, endpoint)
	if err != nil {
		return nil, err
	}
	return &exchange{Exchange: e, g: g, user: info.User, host: host}, nil
}

// exchange notes how a client's login ended.
type exchange struct {
	*auth.Exchange
	g          *gatekeeper
	user, host string
}

func (e *exchange) Step(mechanism string, message []byte) ([]byte, bool, error) {
	reply, done, err := e.Exchange.Step(mechanism, message)
	switch {
	case err != nil:
		e.g.throttle.Failed(e.user, e.host, time.Now())
	case done:
		e.g.throttle.Succeeded(e.user, e.host)
	}
	return reply, done, err
}

// readSecret reads a password or secret from a file that only its owner may read.
func readSecret(path, what string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s file: %w", what, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s file %s may be read by others: chmod 600 it", what, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s file: %w", what, err)
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s file %s is empty", what, path)
	}
	return text, nil
}

// secretFile reads a secret, or draws one and keeps it in the file.
func secretFile(path, what string) (text string, drawn bool, err error) {
	text, err = readSecret(path, what)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, false, err
	}
	text = auth.NewPassword()
	return text, true, os.WriteFile(path, []byte(text+"\n"), 0o600)
}
