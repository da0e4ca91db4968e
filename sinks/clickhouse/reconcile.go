package clickhouse

import (
	"context"

	"github.com/sluicekit/sluice/core/record"
)

// reconcile is for a batch that was tried before.
func (w *writer) reconcile(ctx context.Context, c record.Cut, token string) error {
	return nil
}
