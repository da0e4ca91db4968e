package folder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sluicekit/sluice/core/source"
)

// Source is a stream's files and its state folder. Make it with Open.
type Source struct {
	o    Options
	lock *lock

	mu       sync.Mutex
	cat      *catalogue
	progress *progress
	complete bool  // all was read of what there was; never with Follow
	failure  error // what could not be read then
	poke     chan struct{}
	schemas  *schemas
}

// Open takes the state folder for this process: a *LockedError says that another
// one has it. Nothing is read of the files yet.
func Open(o Options) (*Source, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	l, err := acquire(o.State)
	if err != nil {
		return nil, err
	}
	s := &Source{o: o, lock: l, poke: make(chan struct{}, 1), schemas: newSchemas()}
	if err := s.reopen(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return s, nil
}

// reopen reads what is on disk, and makes sure that it is.
func (s *Source) reopen() error {
	if err := s.lock.held(); err != nil {
		return err
	}
	c, err := openCatalogue(s.o.State, &s.o)
	if err != nil {
		return err
	}
	p, err := openProgress(s.o.State, c.incarnation())
	if err != nil {
		return errors.Join(err, c.j.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cat, s.progress = c, p
	return nil
}

func (s *Source) catalogue() *catalogue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cat
}

// Close gives the state folder to others. Nothing uses the Source any more.
func (s *Source) Close() error {
	return errors.Join(s.cat.j.close(), s.progress.j.close(), s.lock.release())
}

// Describe names the state folder as the incarnation, and its partitions.
func (s *Source) Describe(_ context.Context, topics ...string) (source.Description, error) {
	c := s.catalogue()
	d := source.Description{ClusterID: "folder", Topics: map[string]source.TopicDescription{}}
	t := source.TopicDescription{ID: c.id, Partitions: make([]source.PartitionDescription, len(c.logs))}
	for i := range t.Partitions {
		t.Partitions[i].LeaderEpoch = -1
	}
	for _, name := range topics {
		if name != s.o.Name {
			return d, fmt.Errorf("files: no stream %s here", name)
		}
		d.Topics[name] = t
	}
	return d, nil
}

// Offsets resolves where a new sink starts. All but the beginning needs to know
// all files.
func (s *Source) Offsets(ctx context.Context, _ string, partition int32, at source.Position) (int64, error) {
	c := s.catalogue()
	if at == source.Earliest {
		first, _, _ := c.bounds(partition, 0)
		return first, nil
	}
	for {
		p := c.find(partition, 0)
		if p.scans > 0 {
			break
		}
		select {
		case <-p.grown:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	_, since, end := c.bounds(partition, int64(at))
	if at == source.Latest {
		return end, nil
	}
	return since, nil
}

// FetchOffsets reads the stored records of partitions.
func (s *Source) FetchOffsets(_ context.Context, _ string, partitions map[string][]int32) ([]source.Stored, error) {
	s.mu.Lock()
	p := s.progress
	s.mu.Unlock()
	var out []source.Stored
	for topic, list := range partitions {
		for _, n := range list {
			out = append(out, p.get(topic, n))
		}
	}
	return out, nil
}

// Cursor makes a reader of a partition, which waits for so long where nothing
// has come.
func (s *Source) Cursor(partition int32, wait time.Duration) *Cursor {
	return &Cursor{s: s, partition: partition, wait: wait, end: -1}
}

// Complete is the end of each partition once everything has a place and nothing
// will come behind it; nil before, and always while following. The error joins
// what could not be read.
func (s *Source) Complete() ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.complete {
		return nil, nil
	}
	s.cat.mu.Lock()
	defer s.cat.mu.Unlock()
	return append([]int64{}, s.cat.ends...), s.failure
}

func (s *Source) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.complete
}

// Where says which file an offset lies in, and at which byte of its content; of
// an Avro container: at which block or before.
func (s *Source) Where(partition int32, offset int64) (path string, at int64, ok bool) {
	p := s.catalogue().find(partition, offset)
	if !p.found {
		return "", 0, false
	}
	if s.o.Format == Container {
		return p.file.path, p.extent.at, true
	}
	return p.file.path, p.extent.at + offset - p.extent.base, true
}

// look makes the scanner look now.
func (s *Source) look() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}
