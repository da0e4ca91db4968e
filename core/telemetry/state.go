package telemetry

import "fmt"

// State is how a lane is.
type State uint8

// The states of a lane.
const (
	Idle       State = iota // not held by this member
	Running                 // reading or committing
	NoSchema                // a record's schema id is not registered yet; waited for, for a while
	NoRegistry              // the schema registry is away; waited for
	NoBroker                // nothing can be read from Kafka; waited for
	Retrying                // an error; tried again soon
	Blocked                 // a person must mend the destination; tried again slowly
	Stopped                 // a person must decide; not tried again
)

var stateNames = [...]string{"idle", "running", "waiting_for_schema", "waiting_for_registry", "waiting_for_kafka", "retrying", "blocked", "stopped"}

// States lists every state.
func States() []State {
	return []State{Idle, Running, NoSchema, NoRegistry, NoBroker, Retrying, Blocked, Stopped}
}

// String is the state as metrics, logs and commands write it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// MarshalText writes the state's name into JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("unknown state %q", text)
}
