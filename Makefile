# make            the quick part: format, vet, staticcheck, unit tests without servers (< 60 s warm)
# make test       everything CI runs: installs the servers it needs, then all tests and the demo
# make soak       the long runs: bigger explorations, fault harnesses for an hour
# make bench      benchmarks
# make fuzz       every fuzz target for FUZZTIME (default 20s)
# make audit      vulnerabilities, insecure patterns, licences (needs their databases)
# make up         starts Kafka, MariaDB, ClickHouse and a schema registry on this machine until interrupted

SHELL       := /bin/bash
.SHELLFLAGS := -e -o pipefail -c

GO       ?= go
FUZZTIME ?= 20s

.PHONY: check test unit race explore integration demo soak bench fuzz audit up

check: format vet staticcheck unit

format:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt -w these files:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

staticcheck:
	$(GO) tool staticcheck ./...

# Packages whose tests start no servers.
unit:
	$(GO) test -short $$($(GO) list ./... | grep -v -e /integration -e /sinks/mariadb -e /sinks/clickhouse$$$$)

race:
	$(GO) test -race -timeout 60m ./cmd/... ./config/... ./core/... ./sinks/...

# The exploration of the commit protocol: without -race, under which a search of
# millions of states would take ten times as long. It has no goroutines to race.
explore:
	$(GO) test -timeout 60m ./core/lane

integration:
	$(GO) test -race -timeout 120m -v ./integration/... | grep -v -e '^=== ' -e '^    --- PASS'

demo:
	$(GO) run ./cmd/sluice demo --json

test: format vet staticcheck race explore integration fuzz demo

soak:
	$(GO) test -tags soak -timeout 4h -v ./core/lane ./integration/...

# The second line is Sluice into ClickHouse beside a program that only fetches,
# decodes and inserts; it wants an idle machine.
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
	$(GO) run ./integration/bench

# Every target of every package, two at a time; what one finds is written to its
# testdata/fuzz, to be committed with the mend. Go takes the end of the time
# itself for a failure now and then: "context deadline exceeded", and no input.
# And it ends an input after 10 s by the clock, which on a busy machine may be
# few of its own: one that "hung" is a find if it fails by itself, too.
fuzz:
	@for dir in $$(git ls-files '*_test.go' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u); do \
	  grep -h '^func Fuzz' $$dir/*_test.go | sed "s|func \(Fuzz[A-Za-z0-9_]*\).*|$$dir \1|"; \
	done | xargs -P 2 -L 1 bash -c 'echo "$$0 $$1"; \
	  out=$$($(GO) test -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s -parallel 1 ./$$0 2>&1) || { \
	    grep -qx " *context deadline exceeded" <<< "$$out" && ! grep -qE "Failing input|panic" <<< "$$out"; } || \
	    { grep -q "fuzzing process hung or terminated unexpectedly" <<< "$$out" && grep -q "Failing input" <<< "$$out" && \
	      echo "$$0 $$1: an input took too long; once more by itself" && $(GO) test -timeout 5m -run "^$$1\$$" ./$$0; } || \
	    { echo "$$out" | tail -40; exit 255; }'

audit:
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...
	$(GO) run github.com/securego/gosec/v2/cmd/gosec@latest -quiet ./...
	$(GO) run github.com/google/go-licenses@latest check ./... --allowed_licenses=Apache-2.0,MIT,BSD-2-Clause,BSD-3-Clause,ISC,MPL-2.0

up:
	$(GO) run ./integration/up
