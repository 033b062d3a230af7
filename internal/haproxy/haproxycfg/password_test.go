package haproxycfg

import (
	"strings"
	"testing"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

func TestHash(t *testing.T) {
	const password = "correct-horse"
	hash, err := HashPassword(password, "c", "admin")
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := HashPassword(password, "c", "admin"); again != hash {
		t.Errorf("equal input gives %s and %s", hash, again)
	}
	digest, err := shacrypt.Decode(hash)
	if err != nil || !digest.Match(password) || digest.Match("wrong") {
		t.Errorf("the hash %s does not match its password alone: %v", hash, err)
	}
	salts := map[string][3]string{}
	for _, in := range [][3]string{{password, "c", "admin"}, {"another", "c", "admin"}, {password, "d", "admin"}, {password, "c", "root"}} {
		hash, err := HashPassword(in[0], in[1], in[2])
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Split(hash, "$")
		if len(f) != 5 || f[1] != "6" || f[2] != "rounds=2000" || len(f[3]) != 16 {
			t.Fatalf("the hash is %s", hash)
		}
		if other, taken := salts[f[3]]; taken {
			t.Errorf("%q and %q have one salt", in, other)
		}
		salts[f[3]] = in
	}
}

// A guess of the password can be tested against the salt or against the hash: the salt must not be the cheaper way.
func BenchmarkGuess(b *testing.B) {
	b.Run("salt", func(b *testing.B) {
		for b.Loop() {
			salt("guess", "c", "admin")
		}
	})
	b.Run("hash", func(b *testing.B) {
		h, err := shacrypt.New(shacrypt.WithVariant(shacrypt.VariantSHA512), shacrypt.WithIterations(hashRounds))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			h.HashWithSalt("guess", []byte("0123456789abcdef"))
		}
	})
}
