"""Runs as the trackers that people follow them in are told of them: TensorBoard, MLflow, Weights & Biases, Trackio."""

from polyhead.training.tracking.follow import RunLog, follow_run

__all__ = ["RunLog", "follow_run"]
