package haproxycfg

import (
	"crypto/pbkdf2"
	"crypto/sha512"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// hashRounds determines the cost of a login, which haproxy pays for each request before it does anything else: 1.2 ms of a
// processor in our tests. Up to statsMaxConn connections may need it at the same time, and on a busy machine it takes several
// times as long: with 6,000 rounds, checks of 500 ms failed while passwords were guessed from many addresses.
const hashRounds = 2000

// saltIterations determines the cost of the salt, which only bake pays. An iteration computes two SHA-512 blocks, a round of
// SHA-crypt one or two.
const saltIterations = 20_000

// salt derives the salt of a password's hash from the password, the cluster and the user. Equal input gives an equal salt and
// so equal files. Another password, cluster or user gives another salt, so that equal passwords of two clusters cannot be
// recognized, and hashes cannot be computed in advance.
//
// A salt is public. Since this one depends on the password, a guess can be tested against the salt instead of the hash.
// That must not be cheaper, so the salt is derived by PBKDF2, at thirty times the cost of the hash.
func salt(password, cluster, user string) (string, error) {
	const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum, err := pbkdf2.Key(sha512.New, password, []byte("hapair stats\x00"+cluster+"\x00"+user), saltIterations, 16)
	if err != nil {
		return "", err
	}
	for i := range sum {
		sum[i] = alphabet[sum[i]&63]
	}
	return string(sum), nil
}

// HashPassword returns the hash of a user's password as crypt(3) has it, by SHA-512: $6$rounds=2000$salt$hash. The same input
// gives the same hash.
func HashPassword(password, cluster, user string) (string, error) {
	salt, err := salt(password, cluster, user)
	if err != nil {
		return "", err
	}
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
