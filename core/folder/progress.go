package folder

import (
	"errors"
	"path/filepath"
	"sync"

	"github.com/sluicekit/sluice/core/source"
)

// progress is what the group's offset commits are in Kafka: for each partition
// an offset and a text.
type progress struct {
	mu      sync.Mutex
	folder  string // the incarnation, so that journals of two folders are not mixed
	records map[string]map[int32]source.Stored
	j       *journal
}

const (
	entryFolder = 1 + iota
	entryRecord
)

func openProgress(dir, folder string) (*progress, error) {
	p := &progress{folder: folder, records: map[string]map[int32]source.Stored{}}
	path := filepath.Join(dir, "progress")
	if err := readJournal(path, p.apply); err != nil {
		return nil, err
	}
	var err error
	p.j, err = newJournal(path, p.snapshot())
	return p, err
}

func (p *progress) apply(payload []byte) error {
	w := &wire{b: payload}
	for len(w.b) > 0 && w.err == nil {
		switch w.number() {
		case entryFolder:
			if id := w.text(); w.err == nil && id != p.folder {
				return errors.New("it is of another state folder")
			}
		case entryRecord:
			topic := w.text()
			r := source.Stored{Topic: topic, Partition: int32(w.number()), Offset: w.number(), LeaderEpoch: int32(w.number()), Metadata: w.text()}
			if w.err == nil {
				p.set(r)
			}
		default:
			return errors.New("entry of unknown kind")
		}
	}
	return w.err
}

func (p *progress) set(r source.Stored) {
	if p.records[r.Topic] == nil {
		p.records[r.Topic] = map[int32]source.Stored{}
	}
	p.records[r.Topic][r.Partition] = r
}

func (p *progress) snapshot() [][]byte {
	b := putText(putNumbers(nil, entryFolder), p.folder)
	for _, list := range p.records {
		for _, r := range list {
			b = putStored(b, r)
		}
	}
	return [][]byte{b}
}

func putStored(b []byte, r source.Stored) []byte {
	b = putText(putNumbers(b, entryRecord), r.Topic)
	b = putNumbers(b, int64(r.Partition), r.Offset, int64(r.LeaderEpoch))
	return putText(b, r.Metadata)
}

func (p *progress) get(topic string, partition int32) source.Stored {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.records[topic][partition]; ok {
		return r
	}
	return source.Stored{Topic: topic, Partition: partition, Offset: -1, LeaderEpoch: -1}
}

// put stores records in one write: nil once they are on disk.
func (p *progress) put(commits []source.OffsetCommit) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b []byte
	var all []source.Stored
	for _, c := range commits {
		r := source.Stored(c)
		b, all = putStored(b, r), append(all, r)
	}
	if err := p.j.append(b); err != nil {
		return err
	}
	for _, r := range all {
		p.set(r)
	}
	if !p.j.grown() {
		return nil
	}
	j, err := newJournal(p.j.path, p.snapshot())
	if err != nil {
		p.j.err = err // stored, and no more can be: the folder is opened again
		return nil
	}
	_ = p.j.close()
	p.j = j
	return nil
}
