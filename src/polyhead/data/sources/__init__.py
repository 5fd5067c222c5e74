"""One file a source of labels; all end in rows."""
