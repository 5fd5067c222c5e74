"""Writes a trained network or a model file in another format, and compares both before the new one is kept."""
