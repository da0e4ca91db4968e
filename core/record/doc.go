// Package record holds the data that flows through Sluice: types, schemas,
// columns, chunks of decoded records, and cuts.
//
// What comes in: values appended by decoders and projections. What goes out:
// columns laid out as Apache Arrow lays them out (validity bitmaps, 32-bit
// offsets, contiguous values), so that a sink copies whole slices and never
// boxes a value.
//
// Memory: a Column owns its slices. Reset keeps their capacity, so a chunk
// that is used again allocates nothing. Whoever receives a Chunk may read it
// until the call that handed it over returns, and must copy what it keeps.
//
// The package starts no goroutines, and imports nothing else of Sluice.
package record
