"""Seconds for each backbone to be built, to take a first and a second training step, and to be exported.

At a small, odd size, without weights, on a batch of two random images with a label each. The export compares the file's
answers with Keras's, and fails where they differ. Seconds are of processor time, so that a busy machine counts less.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from polyhead.recipe.backbones import APPLICATIONS
from polyhead.recipe.schema import Recipe
from polyhead.training import choose_backend


def measure(name: str) -> str:
    """A line of the table."""
    choose_backend()
    import keras

    from polyhead.export.onnx import export_network
    from polyhead.training.backbones import set_trainable
    from polyhead.training.multi_task import MultiTaskModel
    from polyhead.training.network import build_network

    smallest = APPLICATIONS[name].smallest
    recipe = Recipe.model_validate(
        {
            "name": name,
            "data": {"source": {"kind": "folders", "pattern": "{color}"}},
            "image": {"size": [smallest, smallest + 5]},
            "tasks": {"color": {"kind": "categorical"}},
            "network": {"backbone": {"name": name, "weights": "none"}},
        }
    )
    backbone = recipe.network.backbone
    assert backbone is not None
    tasks = {"color": recipe.tasks["color"].fit("color", ["red", "blue"])}
    images = np.random.default_rng(0).integers(0, 256, (2, *recipe.image.size, 3), np.uint8)
    times = [time.process_time()]
    network = build_network(recipe, tasks, pretrained=True)
    set_trainable(network.backbone, backbone, True)
    learner = MultiTaskModel(network, recipe)
    learner.compile(optimizer=keras.optimizers.Adam())
    for _ in range(2):
        times.append(time.process_time())
        learner.train_on_batch(images, {"color": tasks["color"].encode(["red", "blue"])})
    times.append(time.process_time())
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "kept.weights.h5"
        network.core.save_weights(weights)
        begun = children_seconds()
        _, difference = export_network(recipe, tasks, weights, {"train": 2}, images)
    steps = "".join(f"{after - before:8.1f}" for before, after in itertools.pairwise(times))
    parameters = network.core.count_params() / 1e6
    size, exporting = f"{smallest}x{smallest + 5}", children_seconds() - begun
    return f"{name:18} {size} {parameters:7.1f}{steps}{exporting:8.1f}  {difference:.0e}"


def children_seconds() -> float:
    """Processor time of child processes that have ended."""
    found = os.times()
    return found.children_user + found.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(APPLICATIONS))
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        print(measure(options.names[0]))
        return
    print("backbone           size   M param   build  step 1  step 2  export  difference")
    for name in options.names:
        done = subprocess.run([sys.executable, __file__, "--child", name], capture_output=True, text=True, check=False)
        print(done.stdout.splitlines()[-1] if not done.returncode else f"{name}: {done.stderr[-500:]}", flush=True)


if __name__ == "__main__":
    main()
