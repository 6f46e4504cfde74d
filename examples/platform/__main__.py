"""Two clusters, the teams' namespaces in each, and a collector that another stack has deployed."""

import pulumi
import pulumi_kubernetes as kubernetes
from astra_istio import CollectorEgress
from team import TeamNamespace


async def main() -> None:
    """Declare everything, once the collector's URL is known."""
    config = pulumi.Config()

    # The URL becomes part of each script. It is awaited here, since an Output would hide the script
    # at preview.
    collector = pulumi.StackReference(config.require("collectorStack"))
    collector_url = (await collector.get_output_details("collectorUrl")).value
    if collector_url is None:
        raise pulumi.RunError(f"{config.require('collectorStack')}: no output collectorUrl in plain text")

    teams = config.require_object("teams")
    for cluster, settings in config.require_object("clusters").items():
        provider = kubernetes.Provider(cluster, context=settings["context"])
        options = pulumi.ResourceOptions(providers=[provider])

        # Each cluster has one way to the collector, which the captures of all teams use.
        CollectorEgress(f"{cluster}-collector", {"collector_url": collector_url}, options)
        for namespace, workloads in teams.items():
            TeamNamespace(
                f"{cluster}-{namespace}",
                {
                    "namespace": namespace,
                    "workloads": workloads,
                    "collector_url": collector_url,
                    "sensor_id": settings["sensorId"],
                },
                options,
            )


pulumi.run(main)
