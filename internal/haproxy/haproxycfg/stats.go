package haproxycfg

import (
	"crypto/sha256"
	"fmt"
	"net/netip"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/spec"
)

// statsPage is the stats page and the Prometheus exporter beside it.
type statsPage struct {
	Name       string // of the frontend and of the list of users
	Binds      []netip.AddrPort
	User, Hash string // empty where only networks are allowed
	Allow      []netip.Prefix
}

// hashRounds keeps the page cheap: haproxy hashes the password anew on every request. 1000 is the least that SHA-crypt
// does.
const hashRounds = 1000

func newStatsPage(s *spec.Spec, n *spec.Node) (*statsPage, error) {
	in := s.Stats
	if in == nil {
		return nil, nil
	}
	p := &statsPage{Name: statsName(s), User: in.User, Allow: in.Allow}
	for _, a := range n.Addresses {
		p.Binds = append(p.Binds, netip.AddrPortFrom(a.Addr, uint16(in.Port)))
	}
	if len(p.Binds) == 0 {
		return nil, fmt.Errorf("the stats page has no address: node %s has none", n.Name)
	}
	if in.User == "" {
		if len(in.Allow) == 0 {
			return nil, problem("stats", "nobody may see the page", "name a user with a password, or networks in allow")
		}
		return p, nil
	}
	password := in.Password.Reveal()
	if password == "" {
		return nil, problem("stats.password", "the password could not be read", origin(in.Password))
	}
	hash, err := hashPassword(password, salt(s.Cluster, in.User))
	if err != nil {
		return nil, fmt.Errorf("stats.password cannot be hashed: %w", err)
	}
	p.Hash = hash
	return p, nil
}

// problem is what only a change of the spec, or of what it refers to, mends.
func problem(path, message, hint string) diag.Problems {
	return diag.Problems{{Severity: diag.Error, Path: path, Message: message, Hint: hint}}
}

// origin tells where a secret is looked for.
func origin(s spec.Secret) string {
	switch {
	case s.Env != "":
		return "set the environment variable " + s.Env
	case s.File != "":
		return "write it to the file " + s.File
	}
	return ""
}

// statsName is free among the services' names.
func statsName(s *spec.Spec) string {
	name := "hapair-stats"
	for taken := true; taken; {
		taken = false
		for i := range s.Services {
			if s.Services[i].Name == name {
				name, taken = name+"-", true
			}
		}
	}
	return name
}

// salt is the same for the same cluster and user, so that equal input gives equal output, and says nothing about the
// password.
func salt(cluster, user string) string {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte("hapair stats\x00" + cluster + "\x00" + user))
	out := make([]byte, 16)
	for i := range out {
		out[i] = alphabet[sum[i]&63]
	}
	return string(out)
}

// hashPassword is crypt(3)'s SHA-512: $6$rounds=1000$salt$hash.
func hashPassword(password, salt string) (string, error) {
	h, err := shacrypt.New(shacrypt.WithVariant(shacrypt.VariantSHA512), shacrypt.WithIterations(hashRounds))
	if err != nil {
		return "", err
	}
	digest, err := h.HashWithSalt(password, []byte(salt))
	if err != nil {
		return "", err
	}
	return digest.Encode(), nil
}
