"""What goes wrong in the lab's cluster."""


class ClusterError(Exception):
    """A part of the cluster is missing or does not run. The message ends with what to do, or with its log."""
