package folder

import (
	"context"
	"errors"

	"github.com/sluicekit/sluice/core/source"
)

type container struct{}

func (s *scanner) blocks(ctx context.Context, f *file, c *content) ([]extent, error) {
	return nil, errors.New("not yet")
}
func (c *Cursor) openBlocks(at int64) error        { return errors.New("not yet") }
func (c *Cursor) nextValue() (source.Record, bool) { return source.Record{}, false }
