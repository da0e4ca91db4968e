//go:build soak

package integration_test

import (
	"testing"
	"time"
)

// TestMemorySoak is TestMemory with five times the records: the whole is a multiple of what the page cache and the budget hold.
func TestMemorySoak(t *testing.T) {
	memoryRun(t, memoryLoad{partitions: 500, records: 5, budget: 128, bound: 3*128 + 128 + 64, limit: 30 * time.Minute})
}
