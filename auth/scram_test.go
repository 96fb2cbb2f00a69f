package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

// postgresVerifier is what PostgreSQL 15 stores for the password "tr0ub4dor&3".
const postgresVerifier = "SCRAM-SHA-256$4096:JIDfp3lTH1H1pWx/Krir7g==$N9qvLoN8iw0mBIeB/s9eZpNh4eyi2XudgZ/TjuKlyAg=:E00g2rOZGGwIxnbhaXx0eIsiXFpLm7ImGpcIY0aoE0o="

func lookup(t *testing.T, user, password string) Lookup {
	t.Helper()
	v, err := NewVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, name string) (Verifier, bool, error) {
		return v, name == user, nil
	}
}

// login runs a whole exchange with the client's side of the library.
func login(t *testing.T, s *Scram, user, password string, endpoint *x509.Certificate, mechanism string) error {
	t.Helper()
	exchange, err := s.Begin(t.Context(), user, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	conversation := client.NewConversation()
	if mechanism == ScramSHA256Plus {
		binding, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		conversation = client.NewConversationWithChannelBinding(binding)
	}
	challenge := ""
	for {
		message, err := conversation.Step(challenge)
		if err != nil {
			t.Fatalf("client: %v", err)
		}
		reply, done, err := exchange.Step(mechanism, []byte(message))
		if err != nil {
			return err
		}
		challenge = string(reply)
		if done {
			if _, err := conversation.Step(challenge); err != nil {
				t.Fatalf("client does not trust the server: %v", err)
			}
			return nil
		}
	}
}

func TestScram(t *testing.T) {
	s, err := NewScram(lookup(t, "ada", "pencil"), NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	endpoint := endpointCertificate(t)
	for _, test := range []struct {
		name, user, password string
		endpoint             *x509.Certificate
		mechanism            string
		refused              bool
	}{
		{"right", "ada", "pencil", nil, ScramSHA256, false},
		{"wrong password", "ada", "pen", nil, ScramSHA256, true},
		{"unknown user", "eve", "pencil", nil, ScramSHA256, true},
		{"plus without TLS", "ada", "pencil", nil, "SCRAM-SHA-1", true},
		{"plus", "ada", "pencil", endpoint, ScramSHA256Plus, false},
		{"plus, wrong password", "ada", "pen", endpoint, ScramSHA256Plus, true},
		{"TLS without plus", "ada", "pencil", endpoint, ScramSHA256, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := login(t, s, test.user, test.password, test.endpoint, test.mechanism)
			if refused := errors.Is(err, ErrRefused); refused != test.refused || (err != nil) != test.refused {
				t.Errorf("got %v, want refused %v", err, test.refused)
			}
		})
	}
}

// TestScramDowngrade holds that a client which could bind but was not offered PLUS (a man
// in the middle took it away) is refused.
func TestScramDowngrade(t *testing.T) {
	s, err := NewScram(lookup(t, "ada", "pencil"), NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := s.Begin(t.Context(), "ada", endpointCertificate(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(exchange.Mechanisms(), " "), "SCRAM-SHA-256-PLUS SCRAM-SHA-256"; got != want {
		t.Errorf("mechanisms %q, want %q", got, want)
	}
	if _, _, err := exchange.Step(ScramSHA256, []byte("y,,n=,r=abc")); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

func TestScramGarbage(t *testing.T) {
	s, err := NewScram(lookup(t, "ada", "pencil"), NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{
		"", ",", "n,,", "n,,n=,r=", "p=tls-unique,,n=,r=abc", "n,a=root,n=,r=abc", "n,,m=x,n=,r=abc", "\x00\xff",
		strings.Repeat(",", 10_000),
	} {
		exchange, err := s.Begin(t.Context(), "ada", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = exchange.Step(ScramSHA256, []byte(message))
		for range 2 {
			if err != nil {
				break
			}
			_, done, e := exchange.Step(ScramSHA256, []byte(message))
			if done {
				t.Errorf("%q was let in", message)
			}
			err = e
		}
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%q: got %v, want ErrRefused", message, err)
		}
	}
}

// TestMockSalt holds that an unknown user shows the same salt and cost every time, as a
// real one does, and that the salt depends on the secret.
func TestMockSalt(t *testing.T) {
	first := func(s *Scram, user string) string {
		exchange, err := s.Begin(t.Context(), user, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, _, err := exchange.Step(ScramSHA256, []byte("n,,n=,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		_, salt, _ := bytes.Cut(reply, []byte(",s="))
		return string(salt)
	}
	find := lookup(t, "ada", "pencil")
	secret := NewSecret()
	a, _ := NewScram(find, secret)
	b, _ := NewScram(find, secret)
	c, _ := NewScram(find, NewSecret())
	if got, want := first(b, "eve"), first(a, "eve"); got != want {
		t.Errorf("the salt of an unknown user changed from %q to %q", want, got)
	}
	if first(a, "eve") == first(a, "bob") || first(a, "eve") == first(c, "eve") {
		t.Error("salts of unknown users repeat")
	}
	if got, want := len(first(a, "eve")), len(first(a, "ada")); got != want {
		t.Errorf("salt and cost of an unknown user have %d bytes, a known one's %d", got, want)
	}
	if _, err := NewScram(find, nil); err == nil {
		t.Error("a missing secret was accepted")
	}
}

func TestVerifier(t *testing.T) {
	v, err := ParseVerifier(postgresVerifier)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.String(); got != postgresVerifier {
		t.Errorf("printed %s", got)
	}
	if !v.Matches("tr0ub4dor&3") || v.Matches("tr0ub4dor&4") || v.Matches("") {
		t.Error("the verifier matches the wrong passwords")
	}
	if _, err := NewVerifier(""); err == nil {
		t.Error("an empty password was accepted")
	}
	// SASLprep maps the first (with a soft hyphen) to "IX"; the second it refuses (an
	// emoji is unassigned in Unicode 3.2), so the bytes themselves count.
	for password, same := range map[string]string{"I\u00adX": "IX", "\U0001f511": "\U0001f511"} {
		v, err := NewVerifier(password)
		if err != nil || !v.Matches(same) {
			t.Errorf("%q does not match %q (%v)", password, same, err)
		}
	}
	for _, bad := range []string{
		"", "md5abcdef", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:$:", "SCRAM-SHA-256$x:AAAA$AAAA:AAAA",
		strings.Replace(postgresVerifier, "4096", "0", 1), postgresVerifier + "=", postgresVerifier[:len(postgresVerifier)-4],
	} {
		if _, err := ParseVerifier(bad); err == nil {
			t.Errorf("%q was read as a verifier", bad)
		}
	}
	if a, b := NewPassword(), NewPassword(); a == b || len(a) < 20 {
		t.Errorf("passwords %q, %q", a, b)
	}
}

func endpointCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	authority, err := NewAuthority("c1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(NodeRole, "n1", []string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Leaf
}
