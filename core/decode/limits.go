package decode

// Limits bound what one record may cost. Records are untrusted: without them a
// few bytes could ask for any amount of memory or time. A record beyond a
// limit is bad, never cut short. A zero field takes its default.
type Limits struct {
	Depth  int // nesting of values; 64
	String int // bytes of one wanted string, bytes or JSON value; 1 MiB
	Items  int // entries of one array or map; 100,000
	Record int // bytes of a record, and of what is made of it; 4 MiB
	Schema int // bytes of a schema as the registry sends it; 1 MiB
	IDs    int // schema ids remembered at once; 1,000
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Depth, 64)
	def(&l.String, 1<<20)
	def(&l.Items, 100_000)
	def(&l.Record, 4<<20)
	def(&l.Schema, 1<<20)
	def(&l.IDs, 1000)
	// Column offsets and spans are 32 bits wide.
	l.Record = min(l.Record, 1<<30)
	l.String = min(l.String, l.Record)
	return l
}
