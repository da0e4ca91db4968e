package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	kafkaVersion = "4.4.0"
	// kafkaClusterID is the cluster of the formatted template; each server gets
	// an id of its own.
	kafkaClusterID = "4L6g3nShT-eMCtK--X86sw"
)

const kafkaPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>com.github.sluicekit</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
`

// kafkaInstall is Kafka as the cache holds it.
type kafkaInstall struct {
	java     string
	libs     string // folder of jars
	archive  string // class data sharing archive, halves the start
	template string // formatted data folder with the SCRAM users
}

func (in *kafkaInstall) classpath() string { return filepath.Join(in.libs, "*") }

// jvm answers the flags of every Kafka JVM: small, quick to start, and with the
// same collector as the archive was made with, or the archive is refused.
func (in *kafkaInstall) jvm(heap string) []string {
	return []string{"-Xms64m", "-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"}
}

// installKafka answers the cached Kafka, fetching and preparing what is missing.
func installKafka(ctx context.Context) (*kafkaInstall, error) {
	java, err := needCommand(ctx, "java", "default-jre-headless")
	if err != nil {
		return nil, err
	}
	libs, err := cached(ctx, "kafka-"+kafkaVersion, "Apache Kafka "+kafkaVersion, jarsOf(kafkaPOM))
	if err != nil {
		return nil, err
	}
	// The archive fits exactly one Java and one place of the jars.
	binary, err := filepath.EvalSymlinks(java)
	if err != nil {
		return nil, fmt.Errorf("find java: %w", err)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return nil, fmt.Errorf("find java: %w", err)
	}
	sum := sha256.Sum256(fmt.Append(nil, binary, info.Size(), info.ModTime().UnixNano(), libs))
	in := &kafkaInstall{java: java, libs: libs}
	name := "kafka-" + kafkaVersion + "-prepared-" + hex.EncodeToString(sum[:6])
	prepared, err := cached(ctx, name, "the prepared start of Kafka", in.prepare)
	if err != nil {
		return nil, err
	}
	in.archive = filepath.Join(prepared, "kafka.jsa")
	in.template = filepath.Join(prepared, "data")
	return in, nil
}

// jarsOf has maven copy the jars that a POM depends on.
func jarsOf(pom string) func(ctx context.Context, dir string) error {
	return func(ctx context.Context, dir string) error {
		mvn, err := needCommand(ctx, "mvn", "maven")
		if err != nil {
			return err
		}
		work, err := newFolder("maven")
		if err != nil {
			return err
		}
		defer work.remove()
		if err := os.WriteFile(filepath.Join(work.path, "pom.xml"), []byte(pom), 0o644); err != nil {
			return fmt.Errorf("write pom.xml: %w", err)
		}
		return fetch(ctx, work.path, mvn, "-q", "-B", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory="+dir, "-DincludeScope=runtime")
	}
}

// prepare formats a data folder, so that a start need not, and runs a broker
// once to archive its classes.
func (in *kafkaInstall) prepare(ctx context.Context, dir string) error {
	reserved, err := reservePorts(3)
	if err != nil {
		return err
	}
	defer reserved.release()
	work, err := newFolder("kafka-prepare")
	if err != nil {
		return err
	}
	defer work.remove()
	k := &KafkaServer{install: in, folder: work, ports: reserved}
	config := filepath.Join(work.path, "server.properties")
	if err := os.WriteFile(config, []byte(k.properties(KafkaOptions{})), 0o644); err != nil {
		return fmt.Errorf("write properties: %w", err)
	}
	args := append(in.jvm("128m"), "-cp", in.classpath(), "kafka.tools.StorageTool", "format", "-t", kafkaClusterID, "-c", config,
		"--add-scram", "SCRAM-SHA-256=[name=alice,iterations=4096,password=alice-secret]",
		"--add-scram", "SCRAM-SHA-512=[name=alice,iterations=4096,password=alice-secret]")
	if err := run(ctx, work.path, in.java, args...); err != nil {
		return err
	}
	if err := copyTree(filepath.Join(work.path, "data"), filepath.Join(dir, "data")); err != nil {
		return err
	}
	k.process = &process{
		name: "kafka (preparation)", logPath: filepath.Join(work.path, "log"), grace: stopTimeout, ready: k.probe,
		command: func() *exec.Cmd {
			args := append(in.jvm("384m"), "-XX:ArchiveClassesAtExit="+filepath.Join(dir, "kafka.jsa"), "-cp", in.classpath(), "kafka.Kafka", config)
			return exec.Command(in.java, args...)
		},
	}
	if err := k.process.start(ctx); err != nil {
		return err
	}
	err = k.warm(ctx)
	if stopErr := k.process.stop(); err == nil {
		err = stopErr
	}
	return err
}

func copyTree(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy %s: %w", filepath.Base(from), err)
	}
	return nil
}
