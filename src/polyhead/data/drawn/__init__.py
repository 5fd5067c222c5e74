"""The demo's data set: garments that the program draws itself."""
