// Package exitstatus is how both programs end: which status says what, and errors that carry one.
package exitstatus

import "errors"

// Exit statuses of every command.
const (
	OK      = 0 // done
	No      = 1 // the answer is no: invalid, unhealthy
	Usage   = 2 // wrong use
	Failure = 3 // could not be carried out
)

// statusError is an error with an exit status of its own. An err of nil says nothing more: it was told already.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// With gives an error an exit status. An err of nil is an error that says nothing: all was told already.
func With(code int, err error) error { return &statusError{code, err} }

// Of is the status that an error carries, or otherwise where it carries none.
func Of(err error, otherwise int) int {
	var e *statusError
	if errors.As(err, &e) {
		return e.code
	}
	return otherwise
}
