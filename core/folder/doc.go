// Package folder reads a stream from files, and keeps the stream's progress in
// a folder: the state folder.
//
// What comes in: paths and globs of JSON-lines files or Avro object container
// files, plain or compressed with gzip or zstd. What goes out: partitions of
// records with ascending offsets, as Kafka has them, so that everything behind
// works on files as it works on topics.
//
// # One log out of many files
//
// A partition is a log that is made of extents. An extent is a run of whole
// records of one file; it has its place in the log for ever once the catalogue
// has it on disk, and only then can it be read. An offset is the extent's base
// plus the distance from the extent's start: bytes of the file's content (of a
// compressed file: of what it decompresses to), or records of an Avro container.
// So a sink has one position for each partition, however many files there are;
// a growing file adds an extent, or to its last one; and a rotated file only
// has another name. Which file and byte an offset is, [Source.Where] says.
//
// # Who a file is
//
// A file is known by device and inode, as long as its first bytes, and the last
// ones that were read, are what they were; and by those bytes alone where its
// inode is new and the file that had them is gone or is compressed in another
// way. So a file that was renamed, moved to another disk, or compressed is not
// read twice, and one that was truncated or whose inode was given away is a new
// one. What cannot be told: a copy of a file that is itself still there. While
// following, such a copy is looked at again for ten seconds, since a rotation
// that copies truncates the original right after; then, as at once without
// follow, it is a file of its own.
//
// # The state folder
//
//	lock       held (flock) while a process uses the folder
//	catalogue  which files there are, and the extents of each partition
//	progress   the records of core/ledger, one for each partition
//
// Both journals are appended to with a CRC for each write and synced before the
// write counts. A write that a crash has torn is at the end of a journal and is
// taken back; damage anywhere else is an error. They are written anew whenever
// they are opened.
//
// # Memory and goroutines
//
// The catalogue is held in memory: about 300 bytes for each file. Open starts
// nothing. [Member.Join] starts one goroutine, which looks for files and what
// has been added to them; Leave, and the next Join, wait for it. A Cursor is used
// by one goroutine at a time; its records are valid until its next call.
package folder
