package source

import "context"

// Cursor reads one partition with requests of its own, one after the other: for those who read now and then. Who reads many partitions
// has a [Fetcher]. It is used by one goroutine at a time, and holds one answer.
type Cursor struct {
	cluster *Cluster
	ask     FetchRequest
	buf     []byte
	reader  Reader
	end     int64
}

// Cursor makes a reader of a partition. ask is what its requests are like, but for the offset.
func (c *Cluster) Cursor(ask FetchRequest) *Cursor {
	return &Cursor{cluster: c, ask: ask, end: -1}
}

// Fetch gets what comes from an offset on, or nothing within MaxWait; the errors are those of [Cluster.Fetch]. What Next returned before
// becomes invalid. A first batch that the broker has cut off at MaxBytes is asked for again as a whole.
func (c *Cursor) Fetch(ctx context.Context, at int64) error {
	c.reader.Reset(Fetched{}, at)
	c.ask.Offset = at
	for {
		f, err := c.cluster.Fetch(ctx, c.ask, c.buf)
		c.buf = f.Buf
		if err != nil {
			return err
		}
		if c.enlarge(f.Batches) {
			continue
		}
		c.end = f.LastStable
		c.reader.Reset(f, at)
		return nil
	}
}

// enlarge says whether an answer ends within its first batch, and lets the next one be as large as that. It may be no larger than what a
// Reader holds: of that the Reader complains.
func (c *Cursor) enlarge(batches []byte) bool {
	size := int64(0)
	if len(batches) >= batchPrefix {
		size = batchSize(batches)
	}
	if size <= max(int64(len(batches)), int64(c.ask.MaxBytes)) || size > defaultMaxBatchBytes {
		return false
	}
	c.ask.MaxBytes = int32(size)
	return true
}

// Next is the next data record, valid until the next Fetch. False: the end of what was fetched, or an error, which Ended returns.
func (c *Cursor) Next() (Record, bool) { return c.reader.Next() }

// Ended is the first offset that is not covered, after Next had no more.
func (c *Cursor) Ended(at int64) (int64, error) {
	if err := c.reader.Err(); err != nil {
		return at, err
	}
	return max(at, c.reader.NextOffset()), nil
}

// End is the last stable offset as of the latest Fetch, -1 before the first.
func (c *Cursor) End() int64 { return c.end }
