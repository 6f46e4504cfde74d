import * as astra from "@astra/astra-istio"; // written to sdks/ by `pulumi install`
import * as pulumi from "@pulumi/pulumi";

export = async () => {
  const config = new pulumi.Config();

  // The URL becomes part of each script. So it is awaited here: the type is string, not Input<string>.
  const collector = new pulumi.StackReference(config.require("collectorStack"));
  const collectorUrl = (await collector.getOutputDetails("collectorUrl")).value;
  if (collectorUrl === undefined) {
    throw new pulumi.RunError(`${config.require("collectorStack")}: no output collectorUrl in plain text`);
  }

  const capture = new astra.TrafficCapture("astra", {
    sensorId: config.require("sensorId"),
    collectorUrl,
    egress: { tls: { mode: astra.TlsMode.SIMPLE }, limits: { maxConnections: 4 } },
    capture: { samplingRatio: 0.5, skipMethods: ["OPTIONS"], skipPaths: ["/static*", "/healthz"] },
    workloads: {
      checkout: {
        namespace: "shop",
        labels: { app: "checkout" },
        directions: [astra.Direction.INBOUND, astra.Direction.OUTBOUND],
      },
      catalog: { namespace: "shop", labels: { app: "catalog" }, capture: { maxBodyBytes: 16384 } },
    },
  });

  return { collectorCluster: capture.collectorCluster, workloads: capture.capturedWorkloads };
};
