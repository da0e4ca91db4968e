package record

// maxDecDigits bounds the text of a decimal: what is longer is refused unread.
const maxDecDigits = 400

// ParseDec reads a decimal number, 12, -0.50 or 1.5e3, as an unscaled value of
// the given scale. It is exact: fractional digits beyond the scale must be
// zeros (else ErrDecScale), and the value must have at most precision digits
// (else ErrDecRange). Anything else, spaces included, is ErrDecSyntax.
func ParseDec(text []byte, precision, scale int) (Dec, error) {
	n, err := scanDec(text)
	if err != nil {
		return Dec{}, err
	}
	if n.m == (u128{}) {
		return Dec{}, nil
	}
	shift := n.exp + scale
	if shift < 0 {
		return Dec{}, ErrDecScale
	}
	if shift > precision {
		return Dec{}, ErrDecRange
	}
	w := mul(n.m, pow10[shift])
	m := u128{w[0], w[1]}
	if w[2]|w[3] != 0 || !m.less(pow10[precision]) {
		return Dec{}, ErrDecRange
	}
	d, _ := fromMagnitude(m, n.neg)
	return d, nil
}

// scanned is a number as its text says it: m*10^exp, where the last digit of m
// is not zero.
type scanned struct {
	neg bool
	m   u128
	exp int
}

func scanDec(text []byte) (n scanned, err error) {
	if len(text) > maxDecDigits {
		return n, ErrDecRange
	}
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		n.neg = text[i] == '-'
		i++
	}
	digits, zeros, point := 0, 0, false // zeros: read, and not yet part of m
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		if point {
			n.exp--
		}
		if c == '0' {
			zeros++
			continue
		}
		if n.m == (u128{}) {
			zeros = 0 // leading ones
		}
		for ; zeros >= 0; zeros-- {
			if !n.m.less(pow10[MaxPrecision-1]) {
				return n, ErrDecRange
			}
			n.m = n.m.times10()
		}
		zeros = 0
		n.m = n.m.plus(uint64(c - '0'))
	}
	n.exp += zeros
	if digits == 0 {
		return n, ErrDecSyntax
	}
	e, err := scanExponent(text[i:])
	n.exp += e
	return n, err
}

// scanExponent reads e-3, or nothing. It stops counting where no decimal can
// be meant any more, so that the sum with other counts cannot overflow.
func scanExponent(text []byte) (int, error) {
	if len(text) == 0 {
		return 0, nil
	}
	if text[0] != 'e' && text[0] != 'E' {
		return 0, ErrDecSyntax
	}
	text, neg := text[1:], false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		neg = text[0] == '-'
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, ErrDecSyntax
	}
	e := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, ErrDecSyntax
		}
		e = min(e*10+int(c-'0'), 1_000_000)
	}
	if neg {
		e = -e
	}
	return e, nil
}
