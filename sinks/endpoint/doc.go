// Package endpoint is the way to a server: its addresses, and how the
// connection to it is encrypted. Sinks whose destination is a server share it,
// so that the options mean the same in each of them.
//
// What comes in: options as the YAML has them, and addresses without a port.
// What goes out: mistakes in them (sink.FieldError, for the options address and
// tls), addresses of the form host:port, and a tls.Config for each. Nothing is
// kept, and no goroutines run.
package endpoint
