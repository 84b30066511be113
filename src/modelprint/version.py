"""The version of the package, for every layer to name."""

__version__ = "0.7.0"
