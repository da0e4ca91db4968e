package pipeline

import (
	"context"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// Raw reads records of partition 0 again as a lane's feed does.
func Raw(ctx context.Context, cluster *source.Cluster, topic string, id [16]byte, offsets []int64) ([]lane.Letter, error) {
	l := &loader{topicID: id, changed: func() {}}
	f := newFeed(cluster, topic, 0, []*partition{{shared: l, readers: map[*feed]reading{}}}, Start{})
	return f.Raw(ctx, 0, offsets)
}
