"""Attacks on Polyhead: generators of hostile input, each case a function of its number.

`make attack` runs all of them whole and prints a table; `make test` runs the first few cases of each. A case that
failed is run again alone by `make attack ATTACK="NAME --first N --cases 1"`.
"""
