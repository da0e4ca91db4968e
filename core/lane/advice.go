package lane

import (
	"fmt"
	"strings"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/telemetry"
)

// stopped says why nothing goes on, and what a person can do.
func (l *Lane) stopped(r Reason) {
	text := l.advice(r)
	if l.c.Notice != "" && l.cause == nil {
		text = l.c.Notice + "; " + text
	}
	if l.cause != nil {
		text = l.cause.Error() + "; " + text
	}
	l.c.Meter.SetState(telemetry.Stopped, r.String()+": "+text)
	l.c.Log.Error("sink stopped", "reason", r.String(), "position", l.state.Position.String(), "detail", text)
}

// startAt is the command that lets the sink begin at a place in this slot.
func (l *Lane) startAt(where string) string {
	var parts []string
	for i := range l.c.Claim.Partitions {
		parts = append(parts, fmt.Sprintf("%s/%d:%s", l.c.Claim.Topic, int(l.c.Claim.Partition)+i, where))
	}
	return fmt.Sprintf("sluice settle --start-at %s=%s", l.c.ID, strings.Join(parts, ","))
}

// begin is the command that lets the sink begin where the destination, or else
// its entry, says how far it is.
func (l *Lane) begin() string {
	var parts []string
	known, unsure := 0, ""
	for i := range l.c.Claim.Partitions {
		where := "earliest"
		switch e := l.c.Entry; {
		case i < l.found.Len() && l.found.At(i) >= 0, l.found == "" && e == nil: // it was not asked yet
			where, known = "mark", known+1
		case e != nil && i < len(e.Position) && e.Position[i] >= 0:
			where, known = fmt.Sprint(e.Position[i]), known+1
		}
		parts = append(parts, fmt.Sprintf("%s/%d:%s", l.c.Claim.Topic, int(l.c.Claim.Partition)+i, where))
	}
	if known < len(parts) && l.c.Delivery == sink.Replay {
		unsure = " --insist"
	}
	text := fmt.Sprintf("sluice settle --start-at %s=%s%s", l.c.ID, strings.Join(parts, ","), unsure)
	if known < len(parts) {
		if unsure == "" {
			return text + " begins with what the topic has where the destination does not say how far it is"
		}
		return text + " begins with what the topic has where the destination does not say how far it is, and writes twice what it has of that: say the offset there instead of earliest, if you know it"
	}
	return text + " goes on where the destination says"
}

// stopFirst precedes every command of settle: it wants an empty group.
const stopFirst = "stop all members of the group, then "

// advice is the way out of each stop. It names what a person types.
func (l *Lane) advice(r Reason) string {
	switch r {
	case LostRecord:
		return "the group's record of this sink is gone (expired, deleted, or reset by another tool), or it has none yet, and the destination cannot tell where to go on; " +
			stopFirst + l.begin() + " (sluice settle shows what is known; latest, an offset or a time can be said too)"
	case DamagedRecord:
		way := l.begin()
		if l.c.Entry != nil {
			way = "sluice settle --keep " + l.c.ID + " goes on from this sink's entry, which is whole"
		}
		return "a part of the group's record was reset or written by another program; " + stopFirst + way + " (sluice settle shows what is known; latest, an offset or a time can be said too)"
	case OtherIncarnation:
		if l.moved {
			return "the cluster is another one, so offsets do not mean what they did, and it may hold events that were written already; " + stopFirst +
				l.startAt("latest") + " goes on with what comes from now on, :earliest writes all that this cluster holds (a time or an offset can be said too)"
		}
		return "the topic was deleted and created again, so offsets do not mean what they did; " +
			"on_topic_reset: new_incarnation goes on at the beginning of the new topic, now and later; to do so once, " + stopFirst + l.startAt("earliest")
	case SlotsChanged:
		return "the stream's slots were changed while records of the old ones exist; put the old value back, or " + stopFirst + l.c.Resize
	case RowsGone:
		return "the group says that rows were written, and the destination has none; restore the destination, or " + stopFirst + "sluice settle --keep " + l.c.ID +
			" goes on without them, " + l.startAt("earliest") + " --insist writes again what the topic still has"
	case PlanChanged:
		return "where, fields or aggregate were changed while a batch was pending; put the old YAML back until this batch is settled (sluice settle shows it)"
	case Undecidable:
		return "a batch that may have been committed holds a record that fails now; mend the destination so that it takes the record, or look what is there and " +
			stopFirst + l.startAt("OFFSET") + " --insist"
	case BadRecord:
		return "on_bad_record is stop; mend the record's source or the sink's fields, or choose on_bad_record: dead_letter"
	case Gap:
		return "they were deleted by retention or by hand; on_gap: skip_and_record goes on without them, now and later; to do so once, " + stopFirst + l.startAt("earliest")
	case Truncated:
		if l.c.Delivery == sink.Replay {
			return "restore the topic, or give the sink a new name, which begins anew; " + stopFirst + l.startAt("latest") + " --insist goes on with what comes from now on, where a batch can be taken for one that was written before"
		}
		return "restore the topic, or " + stopFirst + l.startAt("latest") + " goes on with what comes from now on"
	case TooLong:
		return "the group's record would not fit into the metadata of an offset commit; drop the entries of sinks that were removed (sluice settle shows them, sluice settle --forget SINK@CONN drops one), or run fewer sinks in this group"
	case Unreadable:
		return "the batch is damaged at the broker, or too large; let another replica lead, or restore the topic, and start again; to leave it out, " + stopFirst + l.startAt("OFFSET") + " --insist with an offset behind it"
	case TooManyBad:
		return "nothing of the batch under way was written, nor put into the dead letters; mend the producer or the sink's fields, or raise max_bad to let such records go to the dead letters"
	}
	return ""
}
