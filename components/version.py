"""The version of the package and of the capture script, in one place."""

VERSION = "0.1.0"
