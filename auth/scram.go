// Package auth says who may come in: SCRAM-SHA-256 verifiers and exchanges, and the
// certificates of a cluster's own authority; no sockets.
package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// The SASL mechanisms of PostgreSQL.
const (
	ScramSHA256     = "SCRAM-SHA-256"
	ScramSHA256Plus = "SCRAM-SHA-256-PLUS" // bound to the TLS connection (tls-server-end-point)
)

// ErrRefused says that a client is not who it says, or gave the wrong password. What
// exactly was wrong stands in the error wrapped around it, for the log alone.
var ErrRefused = errors.New("authentication failed")

// Lookup finds a user's verifier. It gives false for users that do not exist, have no
// password or may not log in.
type Lookup func(ctx context.Context, user string) (Verifier, bool, error)

// Scram is the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks
// it: the user's name comes from the startup packet, the one in the exchange is ignored.
type Scram struct {
	lookup Lookup
	secret []byte
}

// NewScram makes the server's side. The secret makes up the salts of users that do not
// exist: it must be the same at every start and on every node of a cluster, else such
// users could be told from real ones. It is 16 bytes or longer.
func NewScram(lookup Lookup, secret []byte) (*Scram, error) {
	if len(secret) < 16 {
		return nil, errors.New("auth: the secret for mock salts is shorter than 16 bytes")
	}
	return &Scram{lookup: lookup, secret: secret}, nil
}

// NewSecret makes a secret for NewScram.
func NewSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

// Begin starts an exchange with a client that calls itself user. The endpoint is the
// certificate this server showed on the connection, nil without TLS. An unknown user gets
// an exchange that costs as much and fails as a wrong password does.
func (s *Scram) Begin(ctx context.Context, user string, endpoint *x509.Certificate) (*Exchange, error) {
	v, known, err := s.lookup(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("look up the password of %q: %w", user, err)
	}
	if !known {
		v = s.mock(user)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return v.credentials(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("start a SCRAM exchange: %w", err)
	}
	e := &Exchange{server: server, known: known}
	if endpoint != nil {
		// Without a binding for the certificate's signature, PLUS is not offered.
		state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{endpoint}}
		e.binding, _ = scram.NewTLSServerEndpointBinding(state)
	}
	return e, nil
}

// mock makes the verifier of a user that does not exist: the salt is a function of the
// name, the keys are those of no password.
func (s *Scram) mock(user string) Verifier {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(user))
	v := Verifier{
		Iterations: Iterations,
		Salt:       mac.Sum(nil)[:saltSize],
		StoredKey:  make([]byte, sha256.Size),
		ServerKey:  make([]byte, sha256.Size),
	}
	rand.Read(v.StoredKey)
	rand.Read(v.ServerKey)
	return v
}

// Exchange is one client's conversation: two messages of the client, two answers.
type Exchange struct {
	server       *scram.Server
	conversation *scram.ServerConversation
	binding      scram.ChannelBinding
	known        bool
}

// Mechanisms are what to offer, best first.
func (e *Exchange) Mechanisms() []string {
	if e.binding.IsSupported() {
		return []string{ScramSHA256Plus, ScramSHA256}
	}
	return []string{ScramSHA256}
}

// Step answers a message of the client, who chose the mechanism. When done, the client
// has proved its password and the reply proves to it that the server knows it too.
func (e *Exchange) Step(mechanism string, message []byte) (reply []byte, done bool, err error) {
	first := e.conversation == nil
	if first {
		switch {
		case mechanism == ScramSHA256Plus && e.binding.IsSupported():
			e.conversation = e.server.NewConversationWithChannelBindingRequired(e.binding)
		case mechanism == ScramSHA256 && e.binding.IsSupported():
			e.conversation = e.server.NewConversationWithChannelBinding(e.binding)
		case mechanism == ScramSHA256:
			e.conversation = e.server.NewConversation()
		default:
			return nil, false, fmt.Errorf("%w: mechanism %q was not offered", ErrRefused, mechanism)
		}
	}
	text, err := e.conversation.Step(string(message))
	switch {
	case err != nil && !e.known:
		return nil, false, fmt.Errorf("%w: no such user or no password set", ErrRefused)
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", ErrRefused, err)
	case e.conversation.AuthzID() != "":
		return nil, false, fmt.Errorf("%w: authorization identities are not supported", ErrRefused)
	case e.conversation.Done() && !(e.conversation.Valid() && e.known):
		return nil, false, ErrRefused
	}
	return []byte(text), e.conversation.Done(), nil
}
