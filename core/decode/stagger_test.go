package decode_test

import (
	"context"
	"testing"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

func BenchmarkStagger(b *testing.B) {
	events, _ := adEvents(1000)
	for _, rows := range []int{5000, 500} {
		for _, st := range []int{0, 1} {
			b.Run(map[int]string{5000: "5000", 500: "500"}[rows]+map[int]string{0: "plain", 1: "stag"}[st], func(b *testing.B) {
				s := open(b, adOptions(decode.Avro))
				d := decoder(b, s, adPaths...)
				chunk := record.NewChunk(d.Schema())
				if st == 1 {
					for i := range chunk.Columns {
						c := &chunk.Columns[i]
						c.Ints = make([]int64, 8192)[i*32:][:0]
						c.Floats = make([]float64, 8192)[i*32:][:0]
						c.Offsets = make([]int32, 8192)[i*64:][:0]
						c.Data = make([]byte, 300000)[i*320:][:0]
					}
				}
				ctx := context.Background()
				b.ResetTimer()
				start := cpu()
				for i := 0; i < b.N; i++ {
					if i%rows == 0 {
						chunk.Reset()
					}
					if err := d.Append(ctx, chunk, int64(i), 0, events[i%1000]); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}
