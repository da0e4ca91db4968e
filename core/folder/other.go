//go:build !unix

package folder

import (
	"errors"
	"io/fs"
	"os"
)

const nonblock = 0

func inode(fs.FileInfo) (dev, ino uint64) { return 0, 0 }

func flock(*os.File) error { return errors.New("files can be read on Unix systems only") }
