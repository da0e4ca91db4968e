// Package source speaks Kafka: it reads partitions, keeps the membership in a consumer group, and writes dead letters.
//
// In comes a list of brokers ([Options]). Out go, for one partition at a time, the raw record batches of a read-committed fetch
// ([Cluster.Fetch]) and the data records in them ([Reader]); for the group as a whole, generations with the slots this member owns
// ([Member.Join]) and a commit of offsets with metadata that says exactly what is known about its outcome ([Generation.Commit]).
//
// # Requests
//
// Connections (dial, TLS, SASL, pool) are kafka-go's; requests are encoded by kmsg and exchanged raw over them, because kafka-go's own
// messages end at old versions. One connection carries one request at a time, so a JoinGroup that waits for minutes delays nobody. Every
// node has a pool of its own, addressed by what our metadata says, not by kafka-go's cached layout. Versions are negotiated per node;
// a broker that is too old fails with a [VersionError] naming the request.
//
// # Outcomes
//
// A request that was never written completely fails with [ConnError] where Sent is false: the broker cannot act on it. Sent and
// unanswered means that it may be acted on now, later, or never. That difference decides whether a commit ends the membership, so an idle
// connection is asked whether the broker has closed it before it is trusted with a request.
//
// # Rebalances
//
// The classic protocol, cooperative, in two rounds. A member says when it joins which slots it holds and in which generation it got them; the
// leader works out who is to have what ([assign]), and then takes nothing from anybody: a slot that is to move is with nobody in this generation.
// Its owner finds it in [Generation.Settle] and joins again without it, and in the generation that follows the other one gets it. So a slot has
// one member at most in each generation, and what that one commits is refused as soon as the next has begun.
//
// [Member.Rejoin] keeps the generation before in force until the coordinator has left it. An error 22 while it runs is that moment, not the end of
// the membership; 27 is a sign of life at any time; 25 and 82 are the end.
//
// Members offer this protocol, and the eager one of earlier releases, under two names: the coordinator takes one that all offer, so the two are
// never mixed.
//
// # Memory
//
// Fetch reads an answer into the caller's buffer and hands it back in Fetched.Buf, possibly grown. Batches alias it. After an error the
// buffer is the caller's again, whatever was under way. A Reader owns the buffers it decompresses into; the keys, values and headers of
// its records point into them or into the fetched bytes and are valid until the next Reset (with Limits.OneBatch, until Next returns a
// record of another batch). Records are never copied.
//
// A [Cursor] does that for one partition: it owns a buffer and a Reader, and holds one answer.
//
// A [Fetcher] reads many partitions with one request per broker, and charges the answers as a whole; a partition's part is lent from the
// answer, or copied where it is a small part of it. Release gives it back.
//
// # Goroutines
//
// Open starts none. Each node's pool has kafka-go's own goroutine and one per connection; Close ends them. A member has one goroutine, the
// heartbeats of its current generation; Join and Leave wait for it. A Fetcher has up to six per broker; Close waits for them. No other call
// leaves a goroutine behind.
package source
