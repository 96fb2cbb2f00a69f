#!/bin/sh
# Regenerates the Go code of this package from its .proto files.
#
#   apt-get install protobuf-compiler
#   go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
#   go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
#   PATH="$PATH:$(go env GOPATH)/bin" rpc/generate.sh
set -eu
cd "$(dirname "$0")/.."
protoc --proto_path=. \
	--go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative \
	rpc/common.proto rpc/replication.proto rpc/reshard.proto rpc/status.proto
