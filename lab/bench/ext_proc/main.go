// An external processor for Envoy (ext_proc) that throws away all that it gets: what any such connector costs
// at least. It listens on a port of loopback that the kernel chooses, and prints it.
package main

import (
	"fmt"
	"log"
	"net"

	processor "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

type server struct {
	processor.UnimplementedExternalProcessorServer
}

// Process takes the messages of one HTTP exchange. In observability mode Envoy waits for no answer.
func (server) Process(stream processor.ExternalProcessor_ProcessServer) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return nil // the exchange has ended
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	service := grpc.NewServer()
	processor.RegisterExternalProcessorServer(service, server{})
	log.Fatal(service.Serve(listener))
}
