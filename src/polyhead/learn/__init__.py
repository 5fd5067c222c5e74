"""From a table to a trained network. The only room that imports Keras."""
