package pipeline

import "github.com/sluicekit/sluice/core/ledger"

// tellJoining is told before there is anything to carry: a group may wait for a
// killed member's session to end.
func (p *pipeline) tellJoining() {
	if p.o.Files != nil {
		p.o.Log.Info("looking for files")
		return
	}
	p.o.Log.Info("joining the group", "group", p.o.Group)
}

// tellTopics names the topics that nobody gets: the group's leader, which gives
// the partitions out, does not read them.
func (h *holding) tellTopics() {
	for _, name := range h.o.Topics {
		if h.topics[name].layout.Width == 0 {
			h.log.Warn("the group's leader does not read this topic, so that nobody is given its partitions; normal while a change rolls out, else two deployments have one group",
				"topic", name, "group", h.o.Group)
		}
	}
}

// tellStrangers says once that the group has positions of sinks that are not run
// here: what was renamed begins anew, and its rows are written once more.
func (h *holding) tellStrangers() {
	if h.strangers {
		return
	}
	all := map[ledger.ID]bool{}
	for i := range h.slots {
		for _, id := range h.writer.Others(h.slots[i].slot) {
			all[id] = true
		}
	}
	if len(all) == 0 {
		return
	}
	h.strangers = true
	h.log.Warn("the group has positions of sinks that are not run here: removed, renamed, or of another deployment; they are kept, and a sink that was renamed begins anew",
		"group", h.o.Group, "sinks_not_run", len(all))
}
