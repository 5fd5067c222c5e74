"""One file a form of label files; all give rows of cells, the names of the columns first."""
