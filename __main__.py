"""The Pulumi program: an adapter from a stack's configuration to the components, and on to its outputs."""

from typing import Any

import pulumi
from pulumi.runtime import is_config_secret
from pulumi.runtime.config import CONFIG

from components import TrafficCapture
from components.stack_config import stack_config

# All keys at once: pulumi.Config reads a key by its name, and would never see a mistyped one.
config = CONFIG.get()
secrets = {key for key in config if is_config_secret(key)}
settings: Any = stack_config(config, secrets, pulumi.get_project())

capture = TrafficCapture("astra", settings)

pulumi.export("collectorHost", capture.collector_host)
pulumi.export("collectorPort", capture.collector_port)
pulumi.export("collectorCluster", capture.collector_cluster)
pulumi.export(
    "capturedWorkloads",
    capture.captured_workloads.apply(
        lambda workloads: {
            key: {"namespace": workload["namespace"], "filterName": workload["filter_name"]}
            for key, workload in workloads.items()
        }
    ),
)
