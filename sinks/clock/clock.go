package clock

// Day is a day in microseconds.
const Day = 24 * 3600 * 1_000_000

// The times that Append can write, [First, Next): those whose year has four
// digits.
const (
	First = -62_167_219_200_000_000 // 0000-01-01
	Next  = 253_402_300_800_000_000 // 10000-01-01
)

// Append appends a time within [First, Next) as 2026-01-02 03:04:05.000006, where
// between stands in the place of the space. (time.AppendFormat takes five times
// as long, for a row's slowest value.)
func Append(dst []byte, micros int64, between byte) []byte {
	day, in := micros/Day, micros%Day
	if in < 0 {
		day, in = day-1, in+Day
	}
	year, month, dom := date(day)
	seconds, part := in/1_000_000, in%1_000_000
	text := [26]byte([]byte("0000-00-00 00:00:00.000000"))
	twoDigits(text[0:], year/100)
	twoDigits(text[2:], year%100)
	twoDigits(text[5:], month)
	twoDigits(text[8:], dom)
	text[10] = between
	twoDigits(text[11:], seconds/3600)
	twoDigits(text[14:], seconds/60%60)
	twoDigits(text[17:], seconds%60)
	twoDigits(text[20:], part/10_000)
	twoDigits(text[22:], part/100%100)
	twoDigits(text[24:], part%100)
	return append(dst, text[:]...)
}

func twoDigits(b []byte, v int64) {
	b[0], b[1] = byte('0'+v/10), byte('0'+v%10)
}

// date turns days since 1970 into a date of the Gregorian calendar. Years are
// counted from March, so that the leap day is the last of its year, in eras of
// 400 years.
func date(day int64) (year, month, dom int64) {
	const daysPerEra = 146_097
	day += 719_468 // days from 0000-03-01 to 1970-01-01
	era := day / daysPerEra
	if day < 0 {
		era = (day - daysPerEra + 1) / daysPerEra
	}
	doe := day - era*daysPerEra
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	shifted := (5*doy + 2) / 153 // 0 is March
	dom = doy - (153*shifted+2)/5 + 1
	month = shifted + 3
	year = yoe + era*400
	if month > 12 {
		month, year = month-12, year+1
	}
	return year, month, dom
}
