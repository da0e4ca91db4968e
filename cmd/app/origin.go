package app

import (
	"context"
	"log/slog"
	"os"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/peek"
	"github.com/sluicekit/sluice/core/settle"
	"github.com/sluicekit/sluice/core/source"
)

// origin is where a stream's records are, and its progress: one of the two.
type origin struct {
	cluster *source.Cluster
	files   *folder.Source
}

// openOrigin connects to nothing yet; of files it takes the state folder, which
// only one process can have.
func openOrigin(s *config.Stream, log *slog.Logger) (o origin, err error) {
	if s.Files == nil {
		o.cluster, err = openCluster(s)
		return o, err
	}
	options := s.Folder()
	options.Log = log
	o.files, err = folder.Open(options)
	return o, err
}

func openCluster(s *config.Stream) (*source.Cluster, error) {
	options, err := s.Kafka.Cluster()
	if err != nil {
		return nil, err
	}
	return source.Open(options)
}

// openCopy opens a stream for somebody who only looks. Files are looked at with
// a copy of the state folder, so that offsets are those of the stream, and
// neither its lock nor its progress is touched.
func openCopy(ctx context.Context, s *config.Stream) (o origin, end func(), err error) {
	if s.Files == nil {
		o.cluster, err = openCluster(s)
		return o, o.close, err
	}
	state, err := os.MkdirTemp("", "sluice-peek-")
	if err != nil {
		return o, nil, err
	}
	remove := func() { os.RemoveAll(state) } //nolint:errcheck // it is in the system's folder for such
	options := s.Folder()
	if err := folder.Copy(options.State, state); err != nil {
		remove()
		return o, nil, err
	}
	options.State = state
	if o.files, err = folder.Open(options); err != nil {
		remove()
		return o, nil, err
	}
	m := o.files.Member()
	end = func() {
		m.Leave(context.WithoutCancel(ctx)) //nolint:errcheck // the progress is a copy
		o.close()
		remove()
	}
	if _, err := m.Join(ctx); err != nil {
		end()
		return o, nil, err
	}
	return o, end, nil
}

// close gives up what is open. It may be called on one that could not be opened.
func (o origin) close() {
	if o.cluster != nil {
		o.cluster.Close()
	}
	if o.files != nil {
		o.files.Close() //nolint:errcheck // what was stored is on the disk already
	}
}

// toPeek is the origin as peek wants it.
func (o origin) toPeek() peek.Origin {
	if o.files != nil {
		return peek.Files(o.files)
	}
	return peek.Kafka(o.cluster)
}

// toSettle is the origin as settle wants it.
func (o origin) toSettle() settle.Origin {
	if o.files != nil {
		return folder.Settling{Source: o.files}
	}
	return o.cluster
}

// openEvents learns what the events of a stream hold; of containers see
// config.Stream.Decode.
func openEvents(ctx context.Context, s *config.Stream, containers decode.Writers) (*decode.Stream, error) {
	o, err := s.Decode(containers)
	if err != nil {
		return nil, err
	}
	return decode.Open(ctx, o)
}

// topicsOf are the topics of a stream. One of files is its own topic.
func topicsOf(s *config.Stream) []string {
	if s.Files != nil {
		return []string{s.Name}
	}
	return s.Kafka.Topics
}

// groupOf is the group that keeps a stream's progress. The state folder of files
// has the stream's name.
func groupOf(s *config.Stream) string {
	if s.Files != nil {
		return s.Name
	}
	return s.Kafka.Group
}
