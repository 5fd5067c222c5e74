"""A model file over HTTP, with a page. Knows no labels, no run folder and no command line."""
