"""Numbers and tables in, pages out."""
