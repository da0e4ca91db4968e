package decode

import "github.com/sluicekit/sluice/core/record"

// parseTimestamp reads a time in microseconds since 1970: RFC 3339, or a
// number of the declared unit.
func parseTimestamp(f form, text []byte, unit string) (int64, fault) {
	switch f {
	case formString:
		return parseRFC3339(text)
	case formInteger, formNumber:
		return parseUnix(f, text, unit)
	case formEscaped: // no character of a time needs one
		return 0, faultTime
	}
	return 0, faultKind
}

func parseUnix(f form, text []byte, unit string) (int64, fault) {
	if unit == "ms" && f == formInteger {
		n, f := parseInt(f, text)
		if f == 0 && n*1000/1000 != n {
			f = faultRange
		}
		return n * 1000, f
	}
	scale := 0
	switch unit {
	case "s":
		scale = 6
	case "ms":
		scale = 3
	case "us", "ns":
	default:
		return 0, faultUnit
	}
	d, err := record.ParseDec(text, record.MaxPrecision, scale)
	if err == record.ErrDecScale {
		return 0, faultNanos
	}
	n, ok := d.Int()
	if err != nil || !ok {
		return 0, faultRange
	}
	if unit == "ns" {
		return convert(opNanos, n)
	}
	return n, 0
}

// parseRFC3339 reads 2026-11-22T15:04:05.123456+01:00. Digits beyond the
// microsecond must be zeros; there are no leap seconds.
func parseRFC3339(b []byte) (int64, fault) {
	if len(b) < len("2026-11-22T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' || b[13] != ':' || b[16] != ':' {
		return 0, faultTime
	}
	year := two(b[0:])*100 + two(b[2:])
	month, day := two(b[5:]), two(b[8:])
	hour, minute, second := two(b[11:]), two(b[14:]), two(b[17:])
	// two gives a large number for what is no digit, which no check here passes.
	if year > 9999 || month-1 > 11 || day-1 >= daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, faultTime
	}
	micros, rest, f := fraction(b[19:])
	if f != 0 {
		return 0, f
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, faultTime
	}
	seconds := int64(days(year, month, day))*86_400 + int64(hour*3600+minute*60+second) - offset
	return seconds*1_000_000 + micros, 0
}

// fraction reads .123456789, if there is one.
func fraction(b []byte) (micros int64, rest []byte, f fault) {
	if b[0] != '.' {
		return 0, b, 0
	}
	i := 1
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		if i <= 6 {
			micros = micros*10 + int64(b[i]-'0')
		} else if b[i] != '0' {
			f = faultNanos
		}
	}
	if i == 1 || i > 10 {
		return 0, nil, faultTime
	}
	for k := i; k <= 6; k++ {
		micros *= 10
	}
	return micros, b[i:], f
}

// zone reads Z or +01:00, in seconds.
func zone(b []byte) (int64, bool) {
	if len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hours, minutes := two(b[1:]), two(b[4:])
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	s := int64(hours*3600 + minutes*60)
	if b[0] == '-' {
		s = -s
	}
	return s, true
}

// two reads two digits; anything else gives a number beyond all that are
// valid.
func two(b []byte) uint {
	hi, lo := uint(b[0]-'0'), uint(b[1]-'0')
	if hi > 9 || lo > 9 {
		return 100_000
	}
	return hi*10 + lo
}

func daysIn(year, month uint) uint {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// days since 1970 of a date of the Gregorian calendar; years start in March,
// so that the leap day is their last.
func days(year, month, day uint) int {
	y, m := int(year), int(month)-3
	if m < 0 {
		y, m = y-1, m+12
	}
	era := y / 400
	if y < 0 {
		era = -1
	}
	yoe := y - era*400
	doy := (153*m+2)/5 + int(day) - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146_097 + doe - 719_468
}
