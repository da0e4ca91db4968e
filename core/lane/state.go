package lane

import "github.com/sluicekit/sluice/core/sink"

// State is all that the protocol knows of one lane. It is comparable.
type State struct {
	Delivery sink.Delivery
	Resumes  bool    // the writer implements sink.Resumer
	Plan     [8]byte // fingerprint of the plan that runs now
	Letters  bool    // on_bad_record: dead_letter
	SkipGaps bool    // on_gap: skip_and_record
	NewTopic bool    // on_topic_reset: new_incarnation

	Phase    Phase
	Record   RecordState
	Entered  bool   // the ledger holds an entry of this sink
	Unsaved  bool   // Position was resolved and is not in the ledger yet
	Wrote    bool   // the destination has had rows of this slot
	Renewed  bool   // a decision: go on in this incarnation, whatever traces others have left
	Position Vector // everything below is at the sink, filtered, or dead-lettered

	Cut     Cut     // the cut under way; Open says whether there is one
	Open    bool    // Cut is fixed: it is being committed, or was and must be repeated
	Stored  bool    // its intent is in the ledger
	Unknown bool    // an attempt under it may have been applied
	OldPlan bool    // it was fixed under another plan; Atomic: the ledger's entry was stored under another
	Token   string  // the token stored with the intent
	Staged  string  // the token of the last Stage, not stored yet
	Acked   Cut     // Atomic: this cut has all its letters written; only what makes it the one that it is
	Recent  bool    // Atomic: Position is as loaded from the ledger, and nothing was claimed since
	Judged  DeadSet // records at or after Position that the destination refused

	Revoked bool // a rebalance: finish what may have started, take nothing new
	Reason  Reason
}

// Cut is the protocol's view of a record.Cut: partitions are indices in the
// slot.
type Cut struct {
	First, Next Vector
	Dead        DeadSet
	Rows        bool // it has rows to write
	Letters     bool // some record of it goes to the dead letters
}

// Phase is what a lane waits for.
type Phase uint8

// The phases. Each names the effect whose answer is awaited.
const (
	Starting   Phase = iota // Load
	Claiming                // Claim
	Resolving               // Resolve: the start position of a new sink
	Opening                 // Store of a new sink's first entry
	Resuming                // Resume of a pending cut
	Reading                 // Read until a cut is full, or again up to its end
	Staging                 // Stage
	Storing                 // Store of an intent
	Beating                 // Heartbeat
	Committing              // Commit
	Lettering               // Letters
	Waiting                 // Wait, then Claim
	Pausing                 // Wait, then Letters
	Stopped                 // nothing: a person must decide
	Over                    // nothing: the lane has ended
)

// RecordState is what the ledger holds for the slot.
type RecordState uint8

// The states of a slot's record.
const (
	Fresh    RecordState = iota // no record in the whole group: the stream's first start
	Present                     // a record of this incarnation
	Grown                       // no record, and the partitions are newer than the records
	Lost                        // no record, though other slots have one
	Damaged                     // a part of the record is missing or foreign
	Replaced                    // the record, or the sink's entry in it, is of another incarnation of the topic
	Resized                     // a record under another slot width
)

// Entry is the protocol's view of a ledger entry.
type Entry struct {
	Exists   bool
	Position Vector
	Wrote    bool
	Renewed  bool
	Plan     [8]byte
	Pending  bool
	Cut      Cut // if Pending: Next and Dead
	Token    string
}

// Reason says why a lane stopped.
type Reason uint8

// The reasons to stop. Each is a decision that only a person can take.
const (
	NoReason         Reason = iota
	LostRecord              // the ledger's record is gone and the destination cannot tell the position
	DamagedRecord           // a part of the record is gone or was written by somebody else
	OtherIncarnation        // the topic was re-created, or the cluster is another one
	SlotsChanged            // the slots were changed while records of the old ones exist
	RowsGone                // the ledger has an entry, and the destination has lost all rows
	PlanChanged             // a pending cut was fixed under another plan
	Undecidable             // a pending cut that may not be replaced has a record that now fails
	BadRecord               // on_bad_record: stop
	Gap                     // retention took records that the sink has not seen
	Truncated               // the log ends below the position
	TooLong                 // the ledger's record would not fit
	Unreadable              // a batch of records is damaged, or larger than what is ever held
	TooManyBad              // more records are bad than max_bad allows
)

var reasonTexts = [...]string{"none", "lost record", "damaged record", "other incarnation", "slots changed", "rows gone",
	"plan changed", "undecidable", "bad record", "gap", "truncated", "record too long", "unreadable", "too many bad records"}

// String names the reason in a word or two.
func (r Reason) String() string { return reasonTexts[r] }

// EventKind is what happened.
type EventKind uint8

// The events. Which fields of Event count is said behind each.
const (
	Loaded         EventKind = iota // Record, Entry: what the ledger holds after the sync; Found.Elsewhere
	Claimed                         // Found
	Resolved                        // Position: where a new sink starts
	Saved                           // the Store is durable
	LedgerEnded                     // the Store got no answer, or a refusal: the membership is over
	LedgerFull                      // the Store would not fit; nothing was sent
	Resumed                         // Outcome
	Filled                          // Cut: all its rows were appended
	Halted                          // Reason: the reader met a gap, a truncation, a bad record; Cut.Next: where a gap ends
	StagedOK                        // Token
	Alive                           // the heartbeat was answered 0 or 27
	Silent                          // the heartbeat was not
	CommittedOK                     // all of the cut is visible
	LettersWritten                  // all letters of the cut are acknowledged; Cut.Rows: a reading for them met rows
	Failed                          // Failure: the effect ended in an error
	Waited                          // the back-off is over
	Revoke                          // a rebalance has begun
	Ended                           // the membership is over, or the program stops
)

// Event is something that happened to a lane. It is comparable.
type Event struct {
	Kind     EventKind
	Record   RecordState
	Entry    Entry
	Found    Found
	Position Vector
	Cut      Cut
	Token    string
	Outcome  sink.Outcome
	Failure  Failure
	Reason   Reason
}

// Found is the protocol's view of sink.Found.
type Found struct {
	High  Vector
	State sink.State
	Last  Cut // Atomic: the last committed cut; Next is "" if there is none
	Other bool
	// Elsewhere: the other incarnation is one of another cluster, which may hold
	// the same events. Of Loaded: the entry's is.
	Elsewhere bool

	Resumes bool // the writer implements sink.Resumer
}

// Failure is the class of an error.
type Failure struct {
	Refused bool    // nothing of the cut was or will be applied
	Rows    DeadSet // records that the destination will not take; implies Refused
}

// EffectKind is what a lane wants done.
type EffectKind uint8

// The effects. Which fields of Effect count is said behind each. Close and
// Note are performed at once and answer nothing; of the others Step returns
// one at most, and the next event is its answer.
const (
	Close     EffectKind = iota // drop the writer
	Note                        // Entry: a settled position, stored with the next ledger write
	Claim                       // → Claimed, Failed
	Resolve                     // → Resolved, Failed
	Store                       // Entry → Saved, LedgerEnded, LedgerFull
	Resume                      // Cut, Token → Resumed, Failed
	Read                        // Cut: First; Next if Fixed; Dead: records to leave out → Filled, Halted, Failed
	Stage                       // Cut → StagedOK, Failed
	Heartbeat                   // → Alive, Silent
	Commit                      // Cut, Token → CommittedOK, Failed
	Letters                     // Cut → LettersWritten, Failed
	Wait                        // → Waited
	Stop                        // Reason: say so; nothing follows but Revoke and Ended
	Exit                        // the lane is over
)

// Effect is something that a lane wants done.
type Effect struct {
	Kind   EffectKind
	Cut    Cut
	Fixed  bool // Read: the cut must end at Cut.Next, with Cut.Dead
	Token  string
	Entry  Entry
	Reason Reason
}
