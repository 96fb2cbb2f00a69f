package ha_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/heliosdb/helios/rpc"
)

// checkRefused sends every call with a wrong cluster, then with a wrong shard.
func checkRefused(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	replication, health := rpc.NewReplicationClient(conn), rpc.NewStatusClient(conn)
	for _, fence := range []*rpc.Fence{{Cluster: "other", Shard: 1, Term: 9}, {Cluster: "test", Shard: 2, Term: 9}, nil} {
		calls := map[string]func() error{
			"Seal": func() error {
				_, err := replication.Seal(t.Context(), &rpc.SealRequest{Fence: fence, Candidate: "x"})
				return err
			},
			"Handover": func() error {
				_, err := replication.Handover(t.Context(), &rpc.HandoverRequest{Fence: fence, Target: "x"})
				return err
			},
			"Node": func() error {
				_, err := health.Node(t.Context(), &rpc.NodeRequest{Fence: fence})
				return err
			},
			"Watch": func() error {
				stream, err := health.Watch(t.Context(), &rpc.NodeRequest{Fence: fence})
				if err == nil {
					_, err = stream.Recv()
				}
				return err
			},
			"BaseCopy": func() error {
				stream, err := replication.BaseCopy(t.Context(), &rpc.BaseCopyRequest{Fence: fence, Node: "x"})
				if err == nil {
					_, err = stream.Recv()
				}
				return err
			},
			"Stream": func() error {
				stream, err := replication.Stream(t.Context())
				if err != nil {
					return err
				}
				hello := &rpc.StandbyMessage_Hello{Hello: &rpc.Hello{Node: "x"}}
				if err := stream.Send(&rpc.StandbyMessage{Fence: fence, Body: hello}); err != nil {
					return err
				}
				_, err = stream.Recv()
				return err
			},
		}
		for name, call := range calls {
			if err := call(); status.Code(err) != codes.FailedPrecondition {
				t.Errorf("%s with %v: got %v, want FailedPrecondition", name, fence, err)
			}
		}
	}
}
