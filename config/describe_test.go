package config_test

import (
	"reflect"
	"testing"

	"github.com/sluicekit/sluice/config"
)

func TestOptionsAreDescribed(t *testing.T) {
	got := config.Options(specs()[0].Options())
	want := []config.Option{
		{Path: "table", Type: "text"},
		{Path: "create", Type: "true or false", Default: "false"},
		{Path: "mode", Type: "text", Default: "insert"},
		{Path: "keys", Type: "text, or a list"},
		{Path: "pool", Type: "whole number", Default: "4"},
		{Path: "shift", Type: "whole number"},
		{Path: "ratio", Type: "number"},
		{Path: "wait", Type: "duration", Default: "2s"},
		{Path: "chunk", Type: "size", Default: "1MiB"},
		{Path: "token", Type: "secret"},
		{Path: "renames", Type: "mapping of names to text"},
		{Path: "limits", Type: "mapping of names to whole number"},
		{Path: "retry.times", Type: "whole number"},
		{Path: "retry.pause", Type: "duration"},
		{Path: "parts", Type: "list of mappings"},
	}
	if !reflect.DeepEqual(got, want) {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("option %d: got %+v\nwant %+v", i, got, want)
			}
		}
	}
}
