package revision

import (
	"bufio"
	"errors"
)

// ReadLine reads one message, which is a line, with its end. A line of more than most bytes is an error. At the end of the
// input it returns what is left of the last line, and io.EOF.
func ReadLine(r *bufio.Reader, most int) ([]byte, error) {
	var all []byte
	for {
		part, err := r.ReadSlice('\n')
		all = append(all, part...)
		if len(all) > most {
			return nil, errors.New("the line is too long")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return all, err
		}
	}
}
