"""The manifests that a stack declares, without the Pulumi engine: ``python -m astra_istio.render``."""

from .program import Rendered, RenderError, manifests, render, silence_abandoned_tasks

__all__ = ["RenderError", "Rendered", "manifests", "render", "silence_abandoned_tasks"]
