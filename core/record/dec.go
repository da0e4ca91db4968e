package record

// Dec is the unscaled value of an exact decimal: a 128-bit two's complement
// integer, low half first, as Arrow lays it out. Its scale is the column's.
type Dec struct {
	Lo uint64
	Hi int64
}
