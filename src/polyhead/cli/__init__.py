"""Arguments in, one call each; the only place that prints or exits."""

from polyhead.cli.train import main

__all__ = ["main"]
