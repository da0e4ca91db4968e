package demo

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// show prints the configuration that was written, as a user would write it.
func (d *demo) show(files []written) {
	d.say("wrote the configuration to %s", d.l.config())
	for _, f := range files {
		fmt.Fprintf(d.o.Out, "\n── %s\n%s", f.name, f.text)
	}
	fmt.Fprintln(d.o.Out)
	d.say("producing %d events (Avro, two schema versions) into an in-process Kafka; a child process runs: sluice run -c %s", d.o.Events, d.l.config())
}

// say prints a line, after the line of progress if there is one.
func (d *demo) say(format string, args ...any) {
	if d.o.Live {
		fmt.Fprint(d.o.Out, "\r\x1b[K")
	}
	fmt.Fprintf(d.o.Out, format+"\n", args...)
}

// progress overwrites one line; where that is not possible nothing is printed
// between the lines that say.
func (d *demo) progress(arrived int64) {
	if !d.o.Live {
		return
	}
	const width = 30
	done := int(arrived * width / int64(max(d.o.Events, 1)))
	fmt.Fprintf(d.o.Out, "\r\x1b[K[%s%s] produced %d, in every sink %d", strings.Repeat("=", done), strings.Repeat(" ", width-done), d.p.progress(), arrived)
}

// Print writes the report for people.
func (r Report) Print(out io.Writer) {
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "sink\trows\texpected\tmissing\tdoubled\twrong\tp50\tp99\t")
	for _, s := range r.Sinks {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%.2f s\t%.2f s\t\n", s.Name, s.Rows, s.Expected, s.Missing, s.Doubled, s.Wrong, s.P50, s.P99)
	}
	t.Flush() //nolint:errcheck // nowhere to report it
	fmt.Fprintln(out)
	if r.BalancesEqual {
		fmt.Fprintln(out, "balances equal the sum of the events")
	} else {
		fmt.Fprintln(out, "BALANCES DIFFER from the sum of the events")
	}
	fmt.Fprintf(out, "killed %d times, %.1f s in all; p50 and p99 are from Kafka's acknowledgement to the row, kills included\n", r.Kills, r.Seconds)
}
