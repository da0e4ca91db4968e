package pipeline

import (
	"context"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// Raw reads records of partition 0 again as a lane's feed does.
func Raw(ctx context.Context, cluster *source.Cluster, topic string, id [16]byte, offsets []int64) ([]lane.Letter, error) {
	return (&kafka{Cluster: cluster}).cursor(cursorOptions{budget: &Budget{}, topic: topic, topicID: id, changed: func() {}}).raw(ctx, offsets)
}
