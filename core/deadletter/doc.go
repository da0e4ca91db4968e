// Package deadletter keeps the records that sinks could not take, and finds
// them again: in a Kafka topic, or in a local folder.
//
// What comes in: letters (lane.Letter) of records of a committed batch. What
// goes out: nil once all of them are durable, and on reading each letter once
// (Found). A batch's letters may be written again after a crash: the sink, the
// topic with its incarnation, partition and offset name a letter, and readers
// give out the first of a name only.
//
// # In a topic
//
// A letter is the original value under a key that names it, with headers
// sluice-sink, sluice-topic, sluice-partition, sluice-offset,
// sluice-incarnation, sluice-reason, sluice-timestamp (of the record, in
// milliseconds since 1970) and sluice-key (the original key). Headers of the
// record follow; one whose name begins with sluice- gets sluice-original- in
// front, so that nobody can make a letter say what we did not.
//
// # In a folder
//
// A letter is one line of JSON with the same content, bytes in base64. Files
// are named STREAM-TIME-RANDOM.jsonl, private to their owner, and never
// continued by another process: what a crash has torn is the tail of a file, of
// letters that nobody was promised. Write returns when the lines and the file's
// name are on the disk (fsync). A file ends at its size or age, and may be moved
// away or removed then; one that is removed while it is written to is noticed,
// and the letters are written again. After any error the file is cut back to
// what was promised and left, and the error is returned: the lane tries again,
// and no position moves meanwhile. So a full disk stops a sink, and loses
// nothing.
//
// Goroutines: none are started. A Topic and a Folder may be used from several.
// Memory: nothing of a letter is kept after Write, or given out twice; Each
// holds one letter at a time, and a few bits for each that it has seen.
package deadletter
