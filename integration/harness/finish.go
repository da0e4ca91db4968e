package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// finish checks that all is alive and exact when the faults are over.
func (r *run) finish(ctx context.Context) error {
	if err := r.probe(ctx); err != nil {
		return err
	}
	for _, i := range r.instances {
		if err := i.died(); err != nil {
			return err
		}
		if !i.alive() {
			continue
		}
		r.timeline.note("SIGTERM %s", i.name)
		if err := i.stop(); err != nil {
			return err
		}
	}
	err := errors.Join(r.checkTopic(ctx), r.observer.poll(ctx), r.store.view.check(ctx), r.store.count(ctx), r.checkArchive(), r.checkLetters(ctx))
	r.sum()
	var wrong error
	r.report.Evidence, wrong = readEvidence(r.dir)
	r.report.Evidence.add(r.store.seen)
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	if r.o.Evidence > 0 {
		return r.report.Evidence.missing(r.o.Evidence, r.store.needs(r.report.Evidence)...)
	}
	return nil
}

// aliveTime is how long a partition may stand still that has not got to its end.
const aliveTime = 30 * time.Second

// probe writes fresh events, and waits until they, and all before them, are in
// every sink.
func (r *run) probe(ctx context.Context) error {
	for _, i := range r.instances {
		if !i.alive() {
			if err := i.start(); err != nil {
				return err
			}
		}
	}
	begin := time.Now()
	r.timeline.note("probe")
	for _, p := range r.producers {
		// It also settles a transaction whose end was not answered.
		if err := p.transaction(ctx, 40*r.o.Partitions, false); err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		p.close()
	}
	if err := r.drained(ctx); err != nil {
		return err
	}
	r.report.Probe = time.Since(begin)
	return nil
}

// rest lets the producers pause, and waits until all that they have written is
// in every sink: what is stuck shows when nothing follows that pushes it on.
func (r *run) rest(ctx context.Context) error {
	r.rate.quiet.Lock()
	defer r.rate.quiet.Unlock()
	return r.drained(ctx)
}

// drained waits until every sink has all that is in the topic.
func (r *run) drained(ctx context.Context) error {
	ends, err := r.ends(ctx)
	if err != nil {
		return err
	}
	if err := r.truth.await(ctx, ends); err != nil {
		return err
	}
	goal := r.store.view.goal(ends)
	still := map[string]standing{}
	for {
		late := r.late(goal)
		if len(late) == 0 {
			r.timeline.note("everything is in every sink")
			return nil
		}
		if stuck := r.stuck(late, still); len(stuck) > 0 {
			for _, i := range r.instances {
				i.quit()
			}
			return fmt.Errorf("not alive: for %s nothing has moved while all is written: %s", aliveTime*r.director.patience, strings.Join(stuck, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// standing is where something was, and since when and how many looks.
type standing struct {
	at    int64
	since time.Time
	looks int
}

// stuck names what of late has not moved for aliveTime: how long it is on its
// way depends on the machine, and on how much it has to catch up with.
func (r *run) stuck(late map[string]int64, still map[string]standing) (all []string) {
	for what, at := range late {
		s, ok := still[what]
		if !ok || s.at != at {
			still[what] = standing{at, time.Now(), r.observer.looks()}
			continue
		}
		if time.Since(s.since) > aliveTime*r.director.patience && r.observer.looks() >= s.looks+3 {
			all = append(all, fmt.Sprintf("%s at %d", what, at))
		}
	}
	return all
}

// late says of what has not got to its goal where it is.
func (r *run) late(goals map[string][]int64) map[string]int64 {
	all := map[string]int64{}
	for id, goal := range goals {
		now := r.observer.at(id)
		for p, end := range goal {
			at := int64(-1)
			if now != nil {
				at = now[p]
			}
			if at < end {
				all[fmt.Sprintf("sink %s, partition %d", id, p)] = at
			}
		}
	}
	if r.archive == nil {
		return all
	}
	if n := r.archive.events(); n < r.truth.events() {
		all["sink archive, events"] = int64(n)
	}
	return all
}

// ends asks the broker for the end of each partition.
func (r *run) ends(ctx context.Context) ([]int64, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.Addr()), past(r.kafka.Addr()))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return listEnds(ctx, c, topic, r.o.Partitions)
}

func listEnds(ctx context.Context, c *kgo.Client, topic string, partitions int) ([]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i), -1
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("ends of %s: %w", topic, err)
	}
	out := make([]int64, partitions)
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return nil, fmt.Errorf("end of %s[%d]: error %d", topic, p.Partition, p.ErrorCode)
			}
			out[p.Partition] = p.Offset
		}
	}
	return out, nil
}

// checkTopic compares what was read back, and what was produced, with what lies
// in the topic: an oracle that is wrong proves nothing. The producers have
// ended, and drained has seen the end of every transaction.
func (r *run) checkTopic(ctx context.Context) error {
	ends, err := r.ends(ctx)
	if err != nil {
		return err
	}
	if r.log, err = readLog(ctx, r.kafka.Addr(), topic, ends); err != nil {
		return err
	}
	l := r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	out, err := judgeTopic(r.log, l, r.truth.all())
	for _, o := range out {
		e, m := r.log[o.partition][o.first], r.log[o.partition][o.marker]
		said := fmt.Sprintf("transaction %d of %s, %s for it, has no marker of its own in partition %d: its %d records in [%d, %d), producer id %d epoch %d, are ended by the next one's %s at %d, epoch %d",
			o.tx, l.writers[o.tx], l.fates[e.id], o.partition, o.records, o.first, o.next, e.producer, e.epoch, m.kind, o.marker, m.epoch)
		r.timeline.note("%s", said)
		r.report.LeftOut = append(r.report.LeftOut, said)
	}
	return err
}

// checkArchive reads all files once more.
func (r *run) checkArchive() error {
	if r.archive == nil {
		return nil
	}
	if err := r.archive.look(true); err != nil {
		return err
	}
	a := r.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	missing, n := 0, 0
	for p := range r.o.Partitions {
		r.truth.each(p, 0, 1<<62, func(_, id int64) {
			n++
			if _, ok := a.home[id]; !ok {
				missing++
			}
		})
	}
	if missing > 0 || len(a.home) != n {
		return fmt.Errorf("archive at the end: %d events are missing, and %d are there that must not be", missing, len(a.home)-(n-missing))
	}
	return nil
}

// checkLetters looks for dead letters: there is no bad record, and a double
// that the primary key refused would be one.
func (r *run) checkLetters(ctx context.Context) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.Addr()), past(r.kafka.Addr()))
	if err != nil {
		return err
	}
	defer c.Close()
	ends, err := listEnds(ctx, c, topic+".dead", 1)
	if err == nil && ends[0] > 0 {
		err = fmt.Errorf("%d dead letters, and no record is bad", ends[0])
	}
	return err
}

// sum fills in the report.
func (r *run) sum() {
	r.report.Events, r.report.Aborted = r.ledger.counts()
	r.report.Faults = r.director.done
	r.report.Faults["lost answer to "+r.store.called] = int(r.director.cuts.Load())
	for _, p := range r.producers {
		r.report.Unclear += p.unclear
	}
	for _, i := range r.instances {
		r.report.Lives += i.lives
	}
	r.observer.mu.Lock()
	r.report.Polls, r.report.Moved = r.observer.polls, r.observer.moved
	r.observer.mu.Unlock()
	if r.archive != nil {
		r.report.Files = r.archive.files()
	}
	r.report.Whole = time.Since(r.begin)
}

// keep writes what is known of the events, and of the topic where it came to
// that, into the folder of a failed run.
func (r *run) keep() error {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	l := r.ledger
	err := r.write("ledger.csv", func(w io.Writer) {
		fmt.Fprintln(w, "event,transaction,producer,fate,partition,offset") //nolint:errcheck // Flush tells
		for id, fate := range l.fates {
			at, tx := l.places[id], l.tx[id]
			fmt.Fprintf(w, "%d,%d,%s,%s,%d,%d\n", id, tx, l.writers[tx], fate, at.partition, at.offset) //nolint:errcheck // Flush tells
		}
	})
	if r.log == nil {
		return err
	}
	return errors.Join(err, r.write("topic.csv", func(w io.Writer) { r.log.dump(w, l.tx) }))
}

// write makes a file in the run's folder.
func (r *run) write(name string, rows func(w io.Writer)) error {
	f, err := os.Create(filepath.Join(r.dir, name))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	rows(w)
	return errors.Join(w.Flush(), f.Close())
}
