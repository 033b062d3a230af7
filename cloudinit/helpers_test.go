package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
)

// unpack does with an entry of write_files what cloud-init does.
func unpack(w writeFile) (string, error) {
	if w.Encoding == "" {
		return w.Content, nil
	}
	data, err := base64.StdEncoding.DecodeString(w.Content)
	if err != nil {
		return "", err
	}
	switch w.Encoding {
	case "b64":
		return string(data), nil
	case "gz+b64":
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return "", err
		}
		data, err = io.ReadAll(r)
		return string(data), err
	}
	return "", fmt.Errorf("encoding %q", w.Encoding)
}

// incompressible is n bytes of text that no packer makes much smaller.
func incompressible(n int) string {
	source := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + source.IntN(94))
	}
	return string(b)
}
