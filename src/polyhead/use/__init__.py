"""From a model file and images to answers. Knows no labels and no Keras."""
