package main

import (
	"archive/zip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// columns is the header of the file.
var columns = []string{
	"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay", "carrier",
	"flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour",
}

// Places in columns of what is not simply a member of the payload.
const (
	colDepTime = 3
	colCarrier = 9
	colFlight  = 10
	colTail    = 11
	colOrigin  = 12
	colDest    = 13
	colTime    = 18
)

// missing is how the file writes that it does not know.
const missing = "NA"

// flights reads the CSV inside a zip, flight by flight.
type flights struct {
	zip  *zip.ReadCloser
	file io.ReadCloser
	csv  *csv.Reader
	row  []string
	err  error // that ended it; nil after the last flight
}

func openFlights(path string) (_ *flights, err error) {
	f := &flights{}
	if f.zip, err = zip.OpenReader(path); err != nil {
		return nil, fmt.Errorf("open the flights: %w", err)
	}
	if f.file, err = f.zip.Open("flights.csv"); err != nil {
		return nil, errors.Join(fmt.Errorf("open the flights: %w", err), f.zip.Close())
	}
	f.csv = csv.NewReader(f.file)
	f.csv.ReuseRecord = true
	header, err := f.csv.Read()
	if err == nil && !slices.Equal(header, columns) {
		err = errors.New("the header has changed")
	}
	if err != nil {
		f.close()
		return nil, fmt.Errorf("read the flights: %w", err)
	}
	return f, nil
}

func (f *flights) close() {
	f.file.Close()
	f.zip.Close()
}

// next reads one flight.
func (f *flights) next() bool {
	row, err := f.csv.Read()
	if err == nil {
		err = check(row)
	}
	if err != nil {
		if err != io.EOF {
			f.err = fmt.Errorf("read the flights: %w", err)
		}
		return false
	}
	f.row = row
	return true
}

// check sees to it that what is written as a number is one.
func check(row []string) error {
	for i, v := range row {
		if v == missing || isText(i) {
			continue
		}
		if _, err := strconv.Atoi(v); err != nil {
			return fmt.Errorf("column %s: %w", columns[i], err)
		}
	}
	return nil
}

func isText(column int) bool {
	switch column {
	case colCarrier, colTail, colOrigin, colDest, colTime:
		return true
	}
	return false
}

// key is the record's key.
func (f *flights) key() []byte { return []byte(f.row[colCarrier] + f.row[colFlight]) }

// event is the flight as JSON.
func (f *flights) event() []byte {
	kind := "departed"
	if f.row[colDepTime] == missing {
		kind = "cancelled"
	}
	b := make([]byte, 0, 400)
	b = append(b, `{"time":`...)
	b = appendText(b, f.row[colTime])
	b = append(b, `,"type":`...)
	b = appendText(b, kind)
	b = append(b, `,"server":`...)
	b = appendText(b, f.row[colOrigin])
	between := `,"payload":{`
	for i, v := range f.row {
		if i == colTime || i == colOrigin {
			continue
		}
		b = append(b, between...)
		between = ","
		b = appendText(b, columns[i])
		b = append(b, ':')
		switch {
		case v == missing:
			b = append(b, "null"...)
		case isText(i):
			b = appendText(b, v)
		default:
			b = append(b, v...)
		}
	}
	return append(b, "}}"...)
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // text always has a JSON form
	}
	return append(b, text...)
}
