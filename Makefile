# Helios. "make demo" and "make test" are all that a newcomer needs.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
VERSION := $(shell git describe --tags --always 2>/dev/null || echo dev)
LDFLAGS := -X main.version=0.1.0-$(VERSION)

.PHONY: demo build test quick lint format bench proto e2e

demo: build
	./bin/helios demo $(DEMO)

build: bin/helios

bin/helios: FORCE
	@command -v gcc >/dev/null 2>&1 || { echo "helios: a C compiler is needed for the SQL parser: apt-get install gcc"; exit 1; }
	@$(GO) list -f '{{if .Stale}}The first build takes a few minutes: it compiles PostgreSQL'"'"'s parser from C.{{end}}' github.com/pganalyze/pg_query_go/v6/parser
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/helios ./cmd/helios
FORCE:

# Everything that CI runs.
test: lint
	$(GO) test -race -timeout 20m ./...
	$(GO) test -timeout 10m -run TestSeeds ./internal/simtest
	$(GO) test -timeout 10m -run TestRecall ./vectorpart
	$(GO) test -timeout 10m -tags chaosbug -run TestFindsBrokenBuild ./internal/simtest
	$(MAKE) e2e

quick:
	$(GO) test ./...

e2e: build
	HELIOS=$(CURDIR)/bin/helios $(GO) test -tags e2e -count 1 -timeout 10m -v ./internal/e2e

lint:
	$(GO) vet -tags e2e ./...
	$(TOOL) staticcheck -tags e2e ./...
	@out=$$($(TOOL) gofumpt -l $$(git ls-files '*.go' | grep -v '\.pb\.go$$')); test -z "$$out" || { echo "gofumpt: $$out"; exit 1; }

format:
	$(TOOL) gofumpt -w $$(git ls-files '*.go' | grep -v '\.pb\.go$$')

bench:
	$(GO) test -run - -bench . -benchtime 3s ./bench
