"""The version, where every room may import it from."""

__version__ = "0.1.0"
