package sqltable

// The first and the last microsecond of the years that a timestamp's text may
// have: four digits, so that texts sort as times do.
const (
	MinTime = -62135596800_000000   // 0001-01-01 00:00:00
	MaxTime = 253402300799_999999   // 9999-12-31 23:59:59.999999
	Day     = 24 * 3600 * 1_000_000 // microseconds
)

// AppendTime appends microseconds since 1970 as 2026-01-02 03:04:05.000006,
// UTC, which both databases read. It must lie between MinTime and MaxTime.
// (time.AppendFormat takes five times as long, for a row's slowest value.)
func AppendTime(dst []byte, micros int64) []byte {
	days, rest := micros/Day, micros%Day
	if rest < 0 {
		days, rest = days-1, rest+Day
	}
	year, month, day := date(days)
	dst = digits(append(digits(dst, year, 4), '-'), month, 2)
	dst = digits(append(dst, '-'), day, 2)
	seconds := rest / 1_000_000
	dst = digits(append(dst, ' '), seconds/3600, 2)
	dst = digits(append(dst, ':'), seconds/60%60, 2)
	dst = digits(append(dst, ':'), seconds%60, 2)
	return digits(append(dst, '.'), rest%1_000_000, 6)
}

// date is the day that lies so many days behind 1970-01-01. It counts from a
// first of March, so that the leap day is the last of its year, in cycles of
// 400 years.
func date(days int64) (year, month, day int64) {
	const cycle, march = 146_097, 719_468 // days of 400 years; of 0000-03-01 before 1970
	days += march
	n := days % cycle
	year = (n - n/1460 + n/36_524 - n/(cycle-1)) / 365
	n -= 365*year + year/4 - year/100
	month = (5*n + 2) / 153
	day = n - (153*month+2)/5 + 1
	year += days / cycle * 400
	if month += 3; month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}

// digits appends a number with zeros before it.
func digits(dst []byte, n int64, width int) []byte {
	dst = append(dst, "000000"[:width]...)
	for i := len(dst) - 1; n > 0; i, n = i-1, n/10 {
		dst[i] = byte('0' + n%10)
	}
	return dst
}
