package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Copy copies the state folder from to the empty folder to, for somebody who
// wants to look at the stream's files with the stream's offsets while another
// process goes on. What that process is writing just now is not in the copy.
func Copy(from, to string) error {
	// Progress first: there is none without a catalogue.
	for _, name := range []string{"progress", "catalogue"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the stream has not run yet
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy the state folder: %w", err)
		}
	}
	return nil
}
