"""`python -m polyhead`."""

import os
import sys

# Python looks for modules in the current folder first, which may hold anybody's `numpy.py`.
if not sys.flags.safe_path and sys.path[0] == os.getcwd():
    del sys.path[0]

from polyhead.cli.app import main

main()
