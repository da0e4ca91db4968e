package sqltabletest

import (
	"testing"

	"github.com/sluicekit/sluice/core/record"
)

// Run runs every test on a target.
func Run(t *testing.T, target Target) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Target)
	}{
		{"EqualCutTwice", equalCutTwice},
		{"GapAndOverlap", gapAndOverlap},
		{"NoRows", noRows},
		{"Found", found},
		{"OtherIncarnation", otherIncarnation},
		{"Move", move},
		{"SlotOfThree", slotOfThree},
		{"TwoOwners", twoOwners},
		{"TwoOwnersFirstCut", twoOwnersFirstCut},
		{"DoublesOfAnotherOwner", doublesOfAnotherOwner},
		{"WrongCut", wrongCut},
		{"ManyRows", manyRows},
		{"HugeValue", hugeValue},
		{"RandomValues", randomValues},
		{"Random", random},
		{"Upsert", upsert},
		{"UpsertOnlyKeys", upsertOnlyKeys},
		{"Add", add},
		{"AddNulls", addNulls},
		{"AddDecimals", addDecimals},
		{"AddOverflow", addOverflow},
		{"AddHotKeys", addHotKeys},
		{"InsertGroups", insertGroups},
		{"Kinds", kinds},
		{"OutOfRange", outOfRange},
		{"DuplicateRows", duplicateRows},
		{"ManyDuplicates", manyDuplicates},
		{"NullInKey", nullInKey},
		{"Names", names},
		{"TableMissing", tableMissing},
		{"Mismatch", mismatch},
		{"Modes", modes},
		{"Positions", positions},
		{"Cancel", cancelled},
		{"Concurrent", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, target) })
	}
}

// The schemas of most tests.
var (
	intType  = record.Type{Kind: record.Int}
	textType = record.Type{Kind: record.String}
	timeType = record.Type{Kind: record.Timestamp}
)

func decimal(precision, scale uint8) record.Type {
	return record.Type{Kind: record.Decimal, Precision: precision, Scale: scale}
}

// simple is an id and a name.
func simple() *record.Schema {
	return &record.Schema{Fields: []record.Field{
		{Name: "id", Type: intType},
		{Name: "name", Type: textType, Nullable: true},
	}}
}

// balances is what an aggregate gives.
func balances() *record.Schema {
	return &record.Schema{Fields: []record.Field{
		{Name: "campaign", Type: intType, Merge: record.MergeKey},
		{Name: "browser", Type: textType, Nullable: true, Merge: record.MergeLast, Order: "last_at"},
		{Name: "balance", Type: decimal(38, 6), Nullable: true, Merge: record.MergeAdd},
		{Name: "events", Type: intType, Merge: record.MergeAdd},
		{Name: "first_at", Type: timeType, Nullable: true, Merge: record.MergeMin},
		{Name: "last_at", Type: timeType, Nullable: true, Merge: record.MergeMax},
		{Name: "cheapest", Type: decimal(20, 2), Nullable: true, Merge: record.MergeMin},
		{Name: "dearest", Type: decimal(20, 2), Nullable: true, Merge: record.MergeMax},
		// Behind the column that it is ordered by, as browser is before it.
		{Name: "os", Type: textType, Nullable: true, Merge: record.MergeLast, Order: "last_at"},
	}}
}
