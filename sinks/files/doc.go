// Package files is a sink that writes every batch to one file of a local
// folder, whose name is the batch.
//
// What comes in: chunks. What goes out: files of JSON lines, compressed with
// zstd or not, below the folder dir:
//
//	dir/
//	  events/clicks/3/                            folder: "{sink}/{topic}/{partition}"
//	    clicks-3-0…01200-0…01800-SINK-TOPIC.jsonl.zst
//	  _sluice/tmp/                                batches under way
//	  _sluice/marks/                              one per sink and incarnation of a topic
//
// # How it is exact
//
// The path of a file is a function of the sink and the batch alone: topic,
// partition, first and next offset, and hashes of the sink's id and of the
// topic's incarnation. So the same batch, written again after a crash, takes
// the place of the first and changes nothing else.
//
//  1. Append encodes rows into a temporary file under _sluice/tmp.
//  2. Stage ends and fsyncs it. Nothing can be seen yet.
//  3. Commit renames it to its name and fsyncs the folder. A reader sees the
//     whole file or none.
//
// A batch without rows leaves no file. So the highest offset in the names is
// at most the sink's position, and an empty folder does not say that the sink
// is new: the first commit therefore leaves a mark, which also tells the
// incarnation in full, and lets finished files be moved away.
//
// # A writer that comes too late
//
// An owner that was stopped, and goes on after another has its slot, can do two
// things. It can rename a file that it had staged: it then writes the name that
// the new owner writes, with the same rows. Or it finds that the new owner's
// Claim has removed its temporary file: then the rename fails, and nothing has
// happened. A Claim removes the temporary files of its own slot only; if the
// late owner comes to claim after the new one, it may take the new owner's
// file away, whose Commit then fails and is repeated.
//
// # Memory and goroutines
//
// A Writer holds 256 KiB of encoded rows (or one chunk, if that is larger), and
// while a batch is larger than that a compressor: 1.5 MiB at level 1, 2.6 at 3,
// 5.5 at 7, 36 from level 10 on. Append copies all it keeps. The package starts no goroutines.
package files
