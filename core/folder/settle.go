package folder

import (
	"context"

	"github.com/sluicekit/sluice/core/source"
)

// Settling is a Source for a person who looks at the progress, or changes it:
// nobody runs the stream meanwhile, since the lock of the state folder is held.
type Settling struct{ *Source }

// Offsets is that of Source, of the files that are in the catalogue: nothing
// looks for new ones.
func (s Settling) Offsets(_ context.Context, _ string, partition int32, at source.Position) (int64, error) {
	first, since, end := s.catalogue().bounds(partition, int64(at))
	switch at {
	case source.Earliest:
		return first, nil
	case source.Latest:
		return end, nil
	}
	return since, nil
}

// GroupMembers are none.
func (s Settling) GroupMembers(context.Context, string) ([]source.GroupMember, error) {
	return nil, nil
}

// CommitOutside stores records in one write.
func (s Settling) CommitOutside(_ context.Context, group string, commits []source.OffsetCommit) error {
	if err := s.lock.held(); err != nil {
		return &source.RefusedError{Group: group, Err: err}
	}
	s.mu.Lock()
	p := s.progress
	s.mu.Unlock()
	return p.put(commits)
}
