"""Many image files in, answers out: gathered, in parallel, as CSV, Parquet, or drawn on the images."""
