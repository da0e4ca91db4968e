// A program with a sink of its own, outside of Sluice's repository. Elsewhere
// the replace directive is not needed. `go mod tidy` fills in the rest.
module example.com/acme

go 1.26.0

require github.com/sluicekit/sluice v0.0.0

replace github.com/sluicekit/sluice => ../../..
