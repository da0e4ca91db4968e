package lane_test

import (
	"testing"

	"github.com/sluicekit/sluice/core/lane"
)

func TestReasonClass(t *testing.T) {
	for reason, want := range map[string]string{
		"the registry does not know schema id 17":     "the registry does not know schema id #",
		"payload.cost2: out of range":                 "payload.cost2: out of range",
		"payload.items[12].x: 4 of 10":                "payload.items[#].x: # of #",
		"Out of range value for column 'ä1' at row 3": "Out of range value for column 'ä1' at row #",
		"":                      "",
		"id 0x1f, 3f2a-77, 1e5": "id #, #-#, #",
		"decimal(18,6)":         "decimal(#,#)",
		"\xff9\xfe":             "\xff9\xfe",
	} {
		if got := lane.ReasonClass(reason); got != want {
			t.Errorf("%q: %q, want %q", reason, got, want)
		}
	}
}
