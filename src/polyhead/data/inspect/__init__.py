"""Looks at a data set that nobody has described: what its labels are, and which recipe would train on it."""
