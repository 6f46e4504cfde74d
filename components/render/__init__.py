"""The manifests that a stack declares, without the Pulumi engine: ``python -m astra_istio.render``."""

from .program import (
    MARK,
    Rendered,
    RenderError,
    main,
    manifests,
    render,
    silence_abandoned_tasks,
    to_yaml,
    write,
    write_clusters,
)

__all__ = [
    "MARK",
    "RenderError",
    "Rendered",
    "main",
    "manifests",
    "render",
    "silence_abandoned_tasks",
    "to_yaml",
    "write",
    "write_clusters",
]
