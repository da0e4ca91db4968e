package native

import "net/netip"

// parseIPv4 reads an address, which the server stores as a number.
func parseIPv4(v []byte, binary bool) (out [16]byte, ok bool) {
	b, ok := parseIPv6(v, binary)
	a := netip.AddrFrom16(b)
	if !ok || !a.Is4In6() {
		return out, false
	}
	four := a.Unmap().As4()
	out[0], out[1], out[2], out[3] = four[3], four[2], four[1], four[0]
	return out, true
}

// parseIPv6 reads an address of either kind. What it does not know itself it has
// netip read, which makes a string of each.
func parseIPv6(v []byte, binary bool) (out [16]byte, ok bool) {
	if binary {
		a, ok := netip.AddrFromSlice(v)
		return a.As16(), ok
	}
	if len(v) > 45 { // the longest that there is
		return out, false
	}
	if four, ok := dotted(v); ok {
		return netip.AddrFrom4(four).As16(), true
	}
	if out, ok = groups(v); ok {
		return out, true
	}
	a, err := netip.ParseAddr(string(v))
	if err != nil || a.Zone() != "" {
		return out, false
	}
	return a.As16(), true
}

// dotted reads four numbers without leading zeros.
func dotted(v []byte) (out [4]byte, ok bool) {
	at, n, digits := 0, 0, 0
	for _, c := range v {
		switch {
		case c >= '0' && c <= '9' && (digits == 0 || n > 0):
			n, digits = 10*n+int(c-'0'), digits+1
			if n > 255 {
				return out, false
			}
		case c == '.' && digits > 0 && at < 3:
			out[at] = byte(n)
			at, n, digits = at+1, 0, 0
		default:
			return out, false
		}
	}
	out[at] = byte(n)
	return out, at == 3 && digits > 0
}

// groups reads eight numbers, or fewer and one gap.
func groups(v []byte) (out [16]byte, ok bool) {
	at, gap := 0, -1 // in out
	if len(v) >= 2 && v[0] == ':' && v[1] == ':' {
		gap, v = 0, v[2:]
	}
	for len(v) > 0 && at < 16 {
		n, digits := 0, 0
		for ; digits < len(v) && digits <= 4; digits++ {
			d, ok := hexDigit(v[digits])
			if !ok {
				break
			}
			n = n<<4 | int(d)
		}
		if digits == 0 || digits > 4 {
			return [16]byte{}, false
		}
		out[at], out[at+1] = byte(n>>8), byte(n)
		at, v = at+2, v[digits:]
		switch {
		case len(v) == 0:
		case len(v) >= 2 && v[0] == ':' && v[1] == ':' && gap < 0:
			gap, v = at, v[2:]
		case len(v) >= 2 && v[0] == ':' && v[1] != ':':
			v = v[1:]
		default:
			return [16]byte{}, false
		}
	}
	if len(v) > 0 || (at == 16) != (gap < 0) {
		return [16]byte{}, false
	}
	if gap >= 0 {
		moved := copy(out[16-(at-gap):], out[gap:at])
		clear(out[gap : 16-moved])
	}
	return out, true
}
