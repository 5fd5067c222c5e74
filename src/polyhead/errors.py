"""What goes wrong through no fault of the program."""


class PolyheadError(Exception):
    """A mistake in what the user gave: one line that names the file, key or row and says what to do."""
