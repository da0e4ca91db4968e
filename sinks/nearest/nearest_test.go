package nearest_test

import (
	"testing"

	"github.com/sluicekit/sluice/sinks/nearest"
)

func TestName(t *testing.T) {
	columns := []string{"id", "campaign", "Amount", "at"}
	for name, want := range map[string]string{
		"campain": "campaign", "campaigns": "campaign", "kampaign": "campaign", // a byte less, more, and another
		"AMOUNT": "Amount", "amuont": "Amount",
		"it":       "id",                       // as near to at, which comes later
		"bat":      "at",                       // one byte of two
		"campXXXX": "campaign", "caXXXXXX": "", // half of it, and more
		"": "", "elsewhere": "",
	} {
		if got := nearest.Name(name, columns); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := nearest.Name("id", nil); got != "" {
		t.Errorf("of none: got %q", got)
	}
}
