package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	// Iterations is the cost of a new verifier, PostgreSQL's scram_iterations.
	Iterations = 4096

	saltSize = 16
	keySize  = 32
)

// Verifier is what a server keeps of a password. It proves passwords and cannot be turned
// back into one, but whoever has it can guess offline: treat it as a secret.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte // 32 bytes
	ServerKey  []byte // 32 bytes
}

// NewVerifier makes the verifier of a password with a random salt.
func NewVerifier(password string) (Verifier, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return derive(password, salt, Iterations)
}

// derive computes a verifier. A password that SASLprep (RFC 4013) refuses is taken as
// it is, as PostgreSQL does.
func derive(password string, salt []byte, iterations int) (Verifier, error) {
	if password == "" {
		return Verifier{}, errors.New("auth: the password is empty")
	}
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		client, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return Verifier{}, fmt.Errorf("auth: %w", err)
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return Verifier{}, fmt.Errorf("auth: derive a verifier: %w", err)
	}
	return Verifier{iterations, salt, stored.StoredKey, stored.ServerKey}, nil
}

// Matches tells whether this is the verifier of a password, in the time of one derivation.
func (v Verifier) Matches(password string) bool {
	other, err := derive(password, v.Salt, v.Iterations)
	return err == nil && hmac.Equal(v.StoredKey, other.StoredKey)
}

// String is the form that PostgreSQL keeps in pg_authid.rolpassword:
// SCRAM-SHA-256$4096:salt$StoredKey:ServerKey, the three in base64.
func (v Verifier) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", ScramSHA256, v.Iterations, b64(v.Salt), b64(v.StoredKey), b64(v.ServerKey))
}

var errNoVerifier = errors.New("auth: not a SCRAM-SHA-256 verifier")

// ParseVerifier reads what String wrote, or PostgreSQL. The error does not repeat the text.
func ParseVerifier(s string) (Verifier, error) {
	rest, ok := strings.CutPrefix(s, ScramSHA256+"$")
	cost, keys, ok2 := strings.Cut(rest, "$")
	count, salt, ok3 := strings.Cut(cost, ":")
	stored, server, ok4 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 || !ok4 {
		return Verifier{}, errNoVerifier
	}
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < 1 {
		return Verifier{}, errNoVerifier
	}
	v := Verifier{Iterations: iterations}
	for _, part := range []struct {
		text string
		to   *[]byte
	}{{salt, &v.Salt}, {stored, &v.StoredKey}, {server, &v.ServerKey}} {
		if *part.to, err = base64.StdEncoding.Strict().DecodeString(part.text); err != nil {
			return Verifier{}, errNoVerifier
		}
	}
	if len(v.Salt) == 0 || len(v.StoredKey) != keySize || len(v.ServerKey) != keySize {
		return Verifier{}, errNoVerifier
	}
	return v, nil
}

func (v Verifier) credentials() scram.StoredCredentials {
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations},
		StoredKey:  v.StoredKey,
		ServerKey:  v.ServerKey,
	}
}

// NewPassword makes a random password of 26 letters and digits, 130 bits.
func NewPassword() string { return strings.ToLower(rand.Text()) }
