package folder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
)

// schemas numbers the schemas of containers, for as long as the process runs.
type schemas struct {
	mu    sync.Mutex
	byKey map[[32]byte]uint32
	texts map[uint32][]byte
}

func newSchemas() *schemas {
	return &schemas{byKey: map[[32]byte]uint32{}, texts: map[uint32][]byte{}}
}

func (s *schemas) number(text []byte) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sha256.Sum256(text)
	n, ok := s.byKey[key]
	if !ok {
		n = uint32(len(s.texts) + 1)
		s.byKey[key], s.texts[n] = n, text
	}
	return n
}

// Schema is the text of a container's schema, by the number in front of its
// values.
func (s *Source) Schema(_ context.Context, id uint32) ([]byte, error) {
	s.schemas.mu.Lock()
	defer s.schemas.mu.Unlock()
	text, ok := s.schemas.texts[id]
	if !ok {
		return nil, fmt.Errorf("no container has had the schema %d", id)
	}
	return text, nil
}
