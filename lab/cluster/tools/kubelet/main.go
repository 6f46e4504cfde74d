// The one thing of a kubelet that `kubectl port-forward` needs: it leads to a port of loopback, whatever pod and
// port are asked for. The streams are the kubelet's own (k8s.io/cri-streaming).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

type pods struct{ address string }

func (p pods) PortForward(_ context.Context, pod, _ string, port int32, stream io.ReadWriteCloser) error {
	connection, err := net.Dial("tcp", p.address)
	if err != nil {
		return fmt.Errorf("port %d of %s: %w", port, pod, err)
	}
	defer connection.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := io.Copy(stream, connection)
		answered <- err
	}()
	go func() {
		io.Copy(connection, stream)
		connection.(*net.TCPConn).CloseWrite()
	}()
	return <-answered
}

func main() {
	listen := flag.String("listen", "", "host:port of the API that the API server calls, over TLS")
	certificate := flag.String("certificate", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	to := flag.String("to", "", "host:port that every port of every pod leads to")
	flag.Parse()

	http.HandleFunc("/portForward/", func(response http.ResponseWriter, request *http.Request) {
		// /portForward/NAMESPACE/POD
		path := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
		options, err := portforward.NewV4Options(request)
		if err != nil || len(path) != 3 {
			http.Error(response, "expected /portForward/NAMESPACE/POD", http.StatusBadRequest)
			return
		}
		config := streaming.DefaultConfig
		portforward.ServePortForward(
			response, request, pods{*to}, path[2], "", options,
			config.StreamIdleTimeout, config.StreamCreationTimeout, config.SupportedPortForwardProtocols,
		)
	})
	log.SetOutput(os.Stderr)
	log.Fatal(http.ListenAndServeTLS(*listen, *certificate, *key, nil))
}
