"""From image files and labels to a table and an array of pixels. Knows no Keras and no model."""
