"""A model file over HTTP, with a page. Knows no labels and no run folder."""

from polyhead.errors import require

require("serving", "serve")
