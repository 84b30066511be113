"""The version of the package, for every layer to name."""

__version__ = "0.9.0"
