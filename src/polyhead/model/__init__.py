"""The artefact, one ONNX file that is data only: its card, its checks, and what answers with it."""
