package spec

// Secret is a value that the spec only refers to: {file: PATH}, relative to the spec, or {env: NAME}. It prints as
// "(secret)", whichever way it is printed.
type Secret struct {
	File string
	Env  string

	value string
}

func (Secret) String() string   { return "(secret)" }
func (Secret) GoString() string { return "(secret)" }

// MarshalText keeps the value out of JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte("(secret)"), nil }

// Reveal hands out the value itself: only for what hashes it. It is empty where the secret could not be read.
func (s Secret) Reveal() string { return s.value }
