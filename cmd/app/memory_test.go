package app

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainerLimit(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"none":          {map[string]string{}, 0},
		"v2":            {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		"v2 without":    {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"v2 of parents": {map[string]string{"proc/self/cgroup": "0::/pods/p1/c1\n", "sys/fs/cgroup/pods/p1/c1/memory.max": "max\n", "sys/fs/cgroup/pods/p1/memory.max": "1073741824\n", "sys/fs/cgroup/pods/memory.max": "4294967296\n"}, 1 << 30},
		"v1":            {map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 512 << 20},
		"v1 without":    {map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nonsense":      {map[string]string{"proc/self/cgroup": "0:\nx\n0::/\n", "sys/fs/cgroup/memory.max": "a lot\n"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				file = filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := containerLimit(root); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestPlanMemory(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		asked, container int64
		env              string
		budget, limit    int64
	}{
		"nothing known":   {0, 0, "", 256 * mib, 896 * mib},
		"a budget":        {128 * mib, 0, "", 128 * mib, 512 * mib},
		"a container":     {0, 1024 * mib, "", 256 * mib, 1024*mib - 1024*mib/10},
		"a small one":     {0, 64 * mib, "", 32 * mib, 48 * mib},
		"both":            {100 * mib, 512 * mib, "", 100 * mib, 512*mib - 512*mib/10},
		"set by the user": {0, 1024 * mib, "700MiB", 256 * mib, 0},
	} {
		if p := planMemory(c.asked, c.container, c.env); p.budget != c.budget || p.goLimit != c.limit {
			t.Errorf("%s: budget %d MiB, limit %d MiB; want %d and %d", name, p.budget/mib, p.goLimit/mib, c.budget/mib, c.limit/mib)
		}
	}
}
