// Package core is documentation only: the picture, the vocabulary and the
// numbered invariants that the packages below rest on, and that their tests
// cite.
//
// # The way of the data
//
//	Kafka ─► source ─► decode ─► chunk ─┬─► lane (sink A, slot) ─► a sink plugin
//	         fetch      once, only      ├─► lane (sink B, slot) ─► a sink plugin
//	         and walk   the fields      └─► …
//	         batches    some sink wants     where → fields → Append … Stage → intent → Commit
//
//	record    types, columns, chunks, cuts          imports nothing of ours
//	sink      the contract of plugins               record
//	source    Kafka: fetch, batches, membership     –
//	folder    files as partitions, and a state      source, for its words
//	          folder in the place of the group
//	decode    bytes to columns: Avro, JSON          record, plan (its description of events)
//	plan      where, fields, casts, aggregate       record
//	ledger    positions and intents in the group    record
//	telemetry what is counted, and shown            –
//	lane      the commit protocol and its loop      record, sink, plan, ledger, telemetry
//	pipeline  assembles a stream; rebalances        all of the above
//
// Beside the way, for people:
//
//	peek        shows a stream, and moves nothing     record, plan, source, decode, folder
//	deadletter  keeps dead letters, and finds them    source, lane
//	settle      what is decided about a stop          record, sink, ledger, source
//
// Data flows one way. core imports neither config nor sinks nor cmd; a test
// enforces the table.
//
// # Vocabulary
//
// The words that users meet, in YAML, metrics, logs and messages:
//
//   - event: one record of a stream, an envelope (id, time, type, server) and a payload.
//   - stream: a source of events: topics, format, registry, consumer group.
//   - sink: one YAML file: which events, which fields, which destination.
//   - slot: a run of partitions of one topic that is always owned as a whole;
//     one partition each unless the stream says otherwise (slots:).
//   - connection: a named destination that sinks share. A sink at a connection
//     is written sink@connection, and has progress of its own.
//   - field: one column of a sink's rows.
//   - batch: what is committed at once.
//   - offset, partition: Kafka's.
//   - position: the next offset that a sink has not settled.
//   - incarnation: cluster id and topic id; a re-created topic has another one.
//   - record (of the group): what the group has noted of a sink in a slot, its entry;
//     the ledger, in the code.
//   - mark: how far the destination itself says that a sink is.
//   - dead letter: a record that a sink could not take, kept with the reason.
//
// The words of the code. Users meet them in /status (lanes) and in the names of
// two metrics (ledger), each explained there:
//
//   - origin: where a stream's records come from, and its progress is kept: a Kafka
//     cluster, or files and their state folder.
//   - cursor: reads the records of one partition, for one goroutine.
//   - lane: the loop of one sink in one slot.
//   - chunk: some thousand decoded records of one partition, in columns.
//   - cut: the half-open offset ranges, one per partition of the slot, that one
//     commit covers, with their dead set. A batch, to users.
//   - dead set: the records of a cut judged bad by something other than their bytes.
//   - writer: a plugin's side of a lane.
//   - intent: the ledger's note of a cut that is about to be committed.
//   - token: what Stage returned; stored with the intent.
//   - ledger: the durable record of positions and intents, in the metadata of
//     the group's offset commits.
//   - membership, generation: Kafka's, of the consumer group.
//
// # Invariants
//
//	I1   A lane's cuts are contiguous and ascending per partition.
//	I2   A cut of a Replay sink is durable in the ledger before its commit starts.
//	I3   A pending cut is repeated, with the same bounds and dead set, before any other.
//	I4   The rows of a cut are a function of bytes, plan, and the cut with its dead set.
//	I5   No position passes what its sink has.
//	I6   read = committed + filtered + dead + skipped.
//	I7   A plugin never sleeps, retries, logs an error it returns, or keeps a chunk's memory.
//	I8   Every held byte is charged to the budget.
//	I9   Run returns only when nothing that it started is running.
//	I10  One ledger write is in flight; an unanswered one ends the membership.
package core
