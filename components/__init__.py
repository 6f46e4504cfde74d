"""Pulumi components that capture the HTTP traffic of Istio workloads for Astra."""

from .args import (
    CaptureArgs,
    CollectorEgressArgs,
    EgressArgs,
    ExportArgs,
    LimitsArgs,
    RedactionArgs,
    TargetRefArgs,
    TlsArgs,
    TrafficCaptureArgs,
    WorkloadArgs,
    WorkloadCaptureArgs,
)
from .collector_egress import CollectorEgress
from .settings.models import (
    BinaryBodies,
    Compatibility,
    Direction,
    Location,
    Mechanism,
    RedactionMode,
    Scheme,
    SecretValue,
    TargetKind,
    TlsMode,
)
from .settings.validation import SettingsError
from .traffic_capture import CapturedWorkload, TrafficCapture
from .workload_capture import WorkloadCapture

__all__ = [
    "BinaryBodies",
    "CaptureArgs",
    "CapturedWorkload",
    "CollectorEgress",
    "CollectorEgressArgs",
    "Compatibility",
    "Direction",
    "EgressArgs",
    "ExportArgs",
    "LimitsArgs",
    "Location",
    "Mechanism",
    "RedactionArgs",
    "RedactionMode",
    "Scheme",
    "SecretValue",
    "SettingsError",
    "TargetKind",
    "TargetRefArgs",
    "TlsArgs",
    "TlsMode",
    "TrafficCapture",
    "TrafficCaptureArgs",
    "WorkloadArgs",
    "WorkloadCapture",
    "WorkloadCaptureArgs",
]
