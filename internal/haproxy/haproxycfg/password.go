package haproxycfg

import (
	"crypto/pbkdf2"
	"crypto/sha512"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// hashRounds is the cost of a login, which haproxy pays at each request, before it goes on with anything else: 1.2 ms of a
// processor in our tests. As many connections as the stats page takes may ask for it at once (statsMaxConn), and on a busy
// machine it takes several times as long: with 6,000 rounds, checks of 500 ms failed while passwords were guessed from many
// addresses.
const hashRounds = 2000

// saltIterations is the cost of the salt, which only bake pays. An iteration is two SHA-512 blocks, a round of SHA-crypt is
// one or two.
const saltIterations = 20_000

// salt derives the salt of a password's hash from the password, the cluster and the user. It is the same as long as these
// are, so that equal input gives equal files, and another for each password: equal passwords cannot be recognized across
// clusters, and hashes cannot be computed in advance for a cluster and user alone.
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
