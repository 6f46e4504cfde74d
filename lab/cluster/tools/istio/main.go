// Command agent is the part of Istio's agent (pilot-agent) that Envoy cannot do without: the SDS server that
// hands it the workload's certificates, signed by istiod, and the certificate files that DestinationRules name.
// It listens on ./var/run/secrets/workload-spiffe-uds/socket.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"istio.io/istio/pkg/security"
	"istio.io/istio/security/pkg/credentialfetcher"
	"istio.io/istio/security/pkg/nodeagent/cache"
	"istio.io/istio/security/pkg/nodeagent/caclient/providers/citadel"
	"istio.io/istio/security/pkg/nodeagent/cafile"
	"istio.io/istio/security/pkg/nodeagent/sds"
)

func main() {
	options := &security.Options{
		CAProviderName:                       "Citadel",
		PilotCertProvider:                    "istiod",
		TrustDomain:                          "cluster.local",
		WorkloadRSAKeySize:                   2048,
		SecretTTL:                            24 * time.Hour,
		FileDebounceDuration:                 100 * time.Millisecond,
		SecretRotationGracePeriodRatio:       0.5,
		SecretRotationGracePeriodRatioJitter: 0.01,
		CARootPath:                           cafile.CACertFilePath,
		CertChainFilePath:                    security.DefaultCertChainFilePath,
		KeyFilePath:                          security.DefaultKeyFilePath,
		RootCertFilePath:                     security.DefaultRootCertFilePath,
	}
	flag.StringVar(&options.CAEndpoint, "ca", "", "istiod's `host:port`, with TLS")
	flag.StringVar(&options.ClusterID, "cluster", "Kubernetes", "the cluster's `name`")
	flag.StringVar(&options.WorkloadNamespace, "namespace", "default", "the workload's `namespace`")
	flag.StringVar(&options.ServiceAccount, "service-account", "default", "the workload's service `account`")
	root := flag.String("root", "", "`file` with the certificate of istiod's authority")
	token := flag.String("token", "", "`file` with a token of the service account")
	flag.Parse()

	var err error
	options.CredFetcher, err = credentialfetcher.NewCredFetcher(security.JWT, options.TrustDomain, *token, "")
	if err != nil {
		log.Fatal(err)
	}
	authority, err := citadel.NewCitadelClient(options, &citadel.TLSOptions{RootCert: *root})
	if err != nil {
		log.Fatal(err)
	}
	secrets, err := cache.NewSecretManagerClient(authority, options)
	if err != nil {
		log.Fatal(err)
	}
	server := sds.NewServer(options, secrets, nil)
	secrets.RegisterSecretHandler(server.OnSecretUpdate)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	server.Stop()
	secrets.Close()
}
