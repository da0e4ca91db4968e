package app

import (
	"bufio"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// unbounded is the budget where nothing says how much memory there is.
	unbounded = 256 << 20
	// leastBudget holds a few fetched answers and decoded chunks.
	leastBudget = 32 << 20
	mostBudget  = 1 << 30
)

// memoryPlan is what limits.memory and the surroundings make of each other.
type memoryPlan struct {
	budget    int64
	goLimit   int64  // for the garbage collector; 0: it is left as it is
	container int64  // 0: no limit
	reason    string // of goLimit
}

// planMemory decides on the budget and on the collector's limit. asked is
// limits.memory, 0 if it is not given; env is GOMEMLIMIT.
func planMemory(asked, container int64, env string) memoryPlan {
	p := memoryPlan{budget: asked, container: container}
	if p.budget == 0 {
		p.budget = unbounded
		if container > 0 {
			p.budget = min(max(container/4, leastBudget), mostBudget)
		}
	}
	switch {
	case env != "":
		p.reason = "GOMEMLIMIT is set"
	case container > 0:
		// What is not the collector's needs room too: the program itself, what
		// SQLite and the kernel take for it.
		p.goLimit = container - max(container/10, min(container/4, 48<<20))
		p.reason = "the container's limit"
	default:
		p.goLimit = 3*p.budget + 128<<20
		p.reason = "three times the budget and 128 MiB"
	}
	return p
}

// apply sets the collector's limit and says what was decided.
func (p memoryPlan) apply(log *slog.Logger) {
	if p.goLimit > 0 {
		debug.SetMemoryLimit(p.goLimit)
	}
	log.Info("memory", "budget", mebibytes(p.budget), "go_limit", mebibytes(debug.SetMemoryLimit(-1)), "because", p.reason, "container", mebibytes(p.container))
	if p.container > 0 && p.budget > p.container/2 {
		log.Warn("limits.memory is more than half of what the container has; the program may be killed", "budget", mebibytes(p.budget), "container", mebibytes(p.container))
	}
}

func mebibytes(n int64) string {
	switch {
	case n <= 0, n >= 1<<60:
		return "none"
	}
	return strconv.FormatInt(n>>20, 10) + "MiB"
}

// containerLimit is the least memory limit of the control groups that the
// program is in, 0 if there is none. root is the root of the file system.
func containerLimit(root string) int64 {
	groups, err := os.Open(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	defer groups.Close()
	least := int64(0)
	lines := bufio.NewScanner(groups)
	for lines.Scan() {
		// hierarchy:controllers:path; version 2 is the hierarchy 0, without controllers
		f := strings.SplitN(lines.Text(), ":", 3)
		if len(f) != 3 {
			continue
		}
		var base, file string
		switch {
		case f[0] == "0" && f[1] == "":
			base, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+f[1]+",", ",memory,"):
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// A container sees its own group as the root, or the whole path.
		for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
			if n := limitIn(filepath.Join(root, base, dir, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// limitIn reads one limit; 0: none. Version 1 writes a huge number for none.
func limitIn(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= 1<<60 {
		return 0
	}
	return n
}
