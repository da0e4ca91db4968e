package sqltable

import "time"

// The first and the last microsecond of the years that a timestamp's text may
// have: four digits, so that texts sort as times do.
const (
	MinTime = -62135596800_000000   // 0001-01-01 00:00:00
	MaxTime = 253402300799_999999   // 9999-12-31 23:59:59.999999
	Day     = 24 * 3600 * 1_000_000 // microseconds
)

// AppendTime appends microseconds since 1970 as 2026-01-02 03:04:05.000006,
// UTC, which both databases read. It must lie between MinTime and MaxTime.
func AppendTime(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000")
}

// Midnight says whether a time is a whole day, UTC.
func Midnight(micros int64) bool { return micros%Day == 0 }
