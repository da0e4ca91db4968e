// Package ledgertest is an offset store in memory that answers as Kafka's group
// coordinator does: generations fence each other, metadata and requests have
// their limits, and a commit may be answered, refused, lost or applied late.
//
// In: commits and faults, by whoever calls; out: what is stored. Nothing is
// shared with the caller. It starts no goroutines.
package ledgertest
