package endpoint

import (
	"errors"
	"fmt"
	"net"

	"github.com/sluicekit/sluice/core/sink"
)

// WithPort adds the port to an address without one.
func WithPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(address, port)
}

// CheckAddresses reports what is wrong with the option address: a sink.FieldError
// each. The port is that of addresses without one.
func CheckAddresses(addresses []string, port string) error {
	if len(addresses) == 0 {
		return &sink.FieldError{Path: "address", Message: "is missing"}
	}
	var errs []error
	for i, a := range addresses {
		if host, _, err := net.SplitHostPort(WithPort(a, port)); err != nil || host == "" {
			errs = append(errs, &sink.FieldError{Path: fmt.Sprintf("address[%d]", i), Message: "must be host:port"})
		}
	}
	return errors.Join(errs...)
}
