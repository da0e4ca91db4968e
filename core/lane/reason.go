package lane

import (
	"strings"
	"unicode/utf8"
)

// longestClass bounds a kind of reason, in bytes.
const longestClass = 300

// ReasonClass is the kind of a reason: the reason, with # for each number that stands
// by itself, since "schema id 17" and "schema id 18" are one trouble. A number
// that is a part of a name stays, as in payload.cost2.
func ReasonClass(reason string) string {
	var b strings.Builder
	name := false // the character before belongs to a word
	for i := 0; i < len(reason) && b.Len() < longestClass; {
		c := reason[i]
		if digit(c) && !name {
			for i < len(reason) && digit(reason[i]) {
				i++
			}
			if i < len(reason) && letter(reason[i]) {
				// 0x1f and 1e5, and ids that begin with a digit
				for i < len(reason) && (letter(reason[i]) || digit(reason[i])) {
					i++
				}
			}
			b.WriteByte('#')
			continue
		}
		name = letter(c) || name && digit(c)
		_, n := utf8.DecodeRuneInString(reason[i:])
		b.WriteString(reason[i : i+n])
		i += n
	}
	return b.String()
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}
