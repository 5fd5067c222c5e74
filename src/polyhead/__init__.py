"""Polyhead: one image in, every answer out."""

__version__ = "0.1.0"
