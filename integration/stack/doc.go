// Package stack starts the real servers that Sluice is tested against (Apache
// Kafka, MariaDB, ClickHouse and a schema registry) as child processes of a test
// or of integration/up, and puts faults between them and their clients.
//
// In come options and a context that bounds the call; out come server values
// with an address. The caller owns a server and ends it: Stop ends it cleanly
// and keeps its data for another Start, Kill does the same without mercy, and
// Close ends it and removes everything it left on disk. Servers listen on
// 127.0.0.1 only, on ports reserved across test processes, and keep their data
// in a temporary folder. What is not installed is fetched once into a cache
// folder ($SLUICE_CACHE, by default the user's cache folder) with Maven, pip, npm
// or apt; a server that cannot be had is an error, never a skipped test.
//
// Each running server has one goroutine, which holds the operating system
// thread that started the child and waits for its end; Stop, Kill and Close wait
// for it. A Proxy has one goroutine that accepts and two for each connection;
// its Close waits for all of them. A child dies with the process that started
// it, however that one ends.
package stack
