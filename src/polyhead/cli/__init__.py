"""The command line: each command makes one call; the only room that prints or exits."""

from polyhead.cli.app import main

__all__ = ["main"]
