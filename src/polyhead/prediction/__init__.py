"""Predictions for many image files: finding the files, and answers as CSV, Parquet, or drawn on the images."""
