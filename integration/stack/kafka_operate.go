package stack

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaToolsVersion is that of the command line tools, which are published
// apart from the broker, and later; they speak to newer brokers as well.
const kafkaToolsVersion = "4.1.0"

const kafkaToolsPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>com.github.sluicekit</groupId><artifactId>kafka-tools</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + kafkaToolsVersion + `</version>
<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
</dependencies></project>
`

// Data answers the folder of the broker's logs: a folder for each partition,
// named topic-0 and so on. It may be changed only while the broker is down.
func (k *KafkaServer) Data() string { return filepath.Join(k.folder.path, "data") }

// ConsumerGroups runs Kafka's own kafka-consumer-groups with these arguments
// and answers what it printed. The tool exits with 0 whatever has happened, so
// an output that speaks of an error is one.
func (k *KafkaServer) ConsumerGroups(ctx context.Context, args ...string) (string, error) {
	jars, err := cached(ctx, "kafka-tools-"+kafkaToolsVersion, "Kafka's command line tools "+kafkaToolsVersion, jarsOf(kafkaToolsPOM))
	if err != nil {
		return "", err
	}
	args = append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
		"-cp", filepath.Join(jars, "*") + ":" + k.install.classpath(),
		"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", k.address(portInternal)}, args...)
	cmd := exec.CommandContext(ctx, k.install.java, args...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "Error") {
		err = fmt.Errorf("it says that it did not")
	}
	if err != nil {
		return "", fmt.Errorf("run kafka-consumer-groups: %w\n%s", orCause(ctx, err), lastLines(string(out), 20))
	}
	return string(out), nil
}

// AddPartitions makes a topic grow to that many partitions, and returns when
// all of them have a leader.
func (k *KafkaServer) AddPartitions(ctx context.Context, topic string, partitions int) error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.SetVersion(2)
	req.TimeoutMillis = 15000
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = topic, int32(partitions)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrCreatePartitionsResponse()
	if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
		return fmt.Errorf("add partitions to %s: %w", topic, err)
	}
	for _, t := range resp.Topics {
		if err := kafkaError(t.ErrorCode, t.ErrorMessage); err != nil {
			return fmt.Errorf("add partitions to %s: %w", topic, err)
		}
	}
	return k.waitTopic(ctx, topic, led(partitions))
}

// DeleteRecords deletes the records of a partition below an offset, as
// kafka-delete-records does.
func (k *KafkaServer) DeleteRecords(ctx context.Context, topic string, partition int32, before int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.SetVersion(2)
	req.TimeoutMillis = 15000
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = partition, before
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrDeleteRecordsResponse()
	if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
		return fmt.Errorf("delete records of %s[%d]: %w", topic, partition, err)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kafkaError(p.ErrorCode, nil); err != nil {
				return fmt.Errorf("delete records of %s[%d]: %w", topic, partition, err)
			}
		}
	}
	return nil
}

// ConfigureTopic sets options of a topic.
func (k *KafkaServer) ConfigureTopic(ctx context.Context, topic string, configs map[string]string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.SetVersion(1)
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for key, value := range configs {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = key, &value
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
		return fmt.Errorf("configure topic %s: %w", topic, err)
	}
	for _, r := range resp.Resources {
		if err := kafkaError(r.ErrorCode, r.ErrorMessage); err != nil {
			return fmt.Errorf("configure topic %s: %w", topic, err)
		}
	}
	return nil
}

// LogRange answers the first offset of a partition and the one that the next
// record will get.
func (k *KafkaServer) LogRange(ctx context.Context, topic string, partition int32) (first, next int64, err error) {
	ends := []int64{-2, -1}
	for i, at := range ends {
		req := kmsg.NewPtrListOffsetsRequest()
		req.SetVersion(6)
		req.ReplicaID = -1
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = partition, at
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		resp := kmsg.NewPtrListOffsetsResponse()
		if err := k.client.do(ctx, k.address(portInternal), req, resp); err != nil {
			return 0, 0, fmt.Errorf("ask for the ends of %s[%d]: %w", topic, partition, err)
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return 0, 0, fmt.Errorf("ask for the ends of %s[%d]: they are not in the answer", topic, partition)
		}
		if err := kafkaError(resp.Topics[0].Partitions[0].ErrorCode, nil); err != nil {
			return 0, 0, fmt.Errorf("ask for the ends of %s[%d]: %w", topic, partition, err)
		}
		ends[i] = resp.Topics[0].Partitions[0].Offset
	}
	return ends[0], ends[1], nil
}
