"""A model file over HTTP, with a page. Knows no labels, no run folder and no command line."""

from polyhead.extras import require

require("serving", "serve")
