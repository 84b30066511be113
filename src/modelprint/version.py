"""The version of the package, for every layer to name."""

__version__ = "0.6.0"
