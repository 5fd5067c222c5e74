"""Training: Keras fits, stage after stage; one callback saves the run so that it can be resumed after any end."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from polyhead.files import write_text
from polyhead.progress import warn
from polyhead.recipe.schema import Recipe
from polyhead.recipe.training import LastParts, Stage
from polyhead.tasks import Task
from polyhead.training import BACKEND, WEIGHTS, backend, checkpoint
from polyhead.training.backbones import set_trainable
from polyhead.training.backend import use_devices
from polyhead.training.batches import Batches, OneEpoch, TrainingData
from polyhead.training.checkpoint_callback import STATE, CheckpointCallback, RunContext
from polyhead.training.depth import layer_rates, train_last
from polyhead.training.features import precompute
from polyhead.training.history import best_epoch, read_divergence
from polyhead.training.lora import add_factors
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import Network, build_network
from polyhead.training.optimizer import make_optimizer
from polyhead.training.resizing import build_smaller
from polyhead.training.soup import clear_candidates, make_soup

FEATURES = "state/features.f32"


def train_network(recipe: Recipe, tasks: Mapping[str, Task], training_data: TrainingData, context: RunContext) -> None:
    """Train, or resume training, the network of a run folder, until WEIGHTS in it are those to ship.

    Writes HISTORY and `state/`. Two runs of one recipe on one machine are equal, and so are a run that was stopped
    anywhere and resumed, and one that was not. One that diverged before is not trained again: the weights that it
    kept are those to ship.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; or that was so before, and no epoch was whole by then.
        PolyheadError: there is too little memory, a backbone's weights cannot be had, or a part of the user's own
            cannot be used.
    """
    folder, progress = context.folder, context.progress
    (folder / "state").mkdir(exist_ok=True)
    position = checkpoint.read_position(folder / STATE)
    training_data = _leave_out_unlabelled(recipe, tasks, training_data)
    chooses = recipe.kept_epoch != "last" and len(training_data.valid) > 0
    diverged = read_divergence(folder)
    if diverged and not diverged.kept:
        raise diverged.error()
    if diverged:
        warn(f"{diverged.happened}; finishing the run with the weights of epoch {diverged.kept}")
        clear_candidates(folder)
        checkpoint.check_kept(folder / WEIGHTS, position)
        return
    with backend.explain_memory():
        backend.start(recipe.seed, recipe.training.precision)
        backend.tell_device(progress)
        write_text(folder / BACKEND, backend.NAME)
        use_devices(recipe.training, progress)
        network = build_network(recipe, tasks, pretrained=not (folder / STATE).exists(), folder=folder)
        if recipe.network.backbone and recipe.network.backbone.lora:
            add_factors(network, recipe.network.backbone.lora)
        model = MultiTaskModel(network, recipe)
        model(np.zeros((1, *recipe.image.size, 3), np.uint8))
        if (folder / STATE).exists():
            checkpoint.load_weights(folder / STATE, model)  # a frozen backbone is asked before anything is trained
        checkpoints = CheckpointCallback(model, recipe, context, position)
        checkpoints.chooses = chooses
        smaller = build_smaller(network, recipe, tasks, folder)
        for stage, start, end in _list_stages(recipe):
            if position.reached < end and not checkpoints.is_over():
                checkpoints.stage_begins, checkpoints.stage_ends = start, end
                model.train_through(smaller.get(stage.size or recipe.image.size, network.core))
                _train_stage(network, stage, end, training_data, checkpoints)
        checkpoints.own.end()
        if recipe.kept_epoch == "soup" and chooses:
            valid = OneEpoch(training_data, training_data.valid, recipe.training.batch_size)
            soup = make_soup(folder, model, valid, position.rows, progress)
            checkpoints.averaged, position.kept = soup.epochs, soup.digest or position.kept
        checkpoints.write_history()
    checkpoint.check_kept(folder / WEIGHTS, position)
    (folder / FEATURES).unlink(missing_ok=True)
    if chooses and best_epoch(position.rows) is None:
        warn("no epoch has a finite validation loss to be chosen by: the last epoch's weights are kept")


def _leave_out_unlabelled(recipe: Recipe, tasks: Mapping[str, Task], training_data: TrainingData) -> TrainingData:
    """The training_data without its validation images, where none of their labels would count in the loss."""
    rows = (
        training_data.valid
        if training_data.weights is None
        else training_data.valid[training_data.weights[training_data.valid] > 0]
    )
    counted = [training_data.targets[name][rows] for name, task in tasks.items() if task.loss_weight]
    if not len(training_data.valid) or any(not np.isnan(targets).all() for targets in counted):
        return training_data
    warn("no validation image has a label that counts: the last epoch's weights are kept")
    return replace(training_data, valid=training_data.valid[:0])


def _train_stage(
    network: Network, stage: Stage, end: int, training_data: TrainingData, checkpoints: "CheckpointCallback"
) -> None:
    """Train until `end` epochs are over in all."""
    model, recipe, position = checkpoints.model, checkpoints.recipe, checkpoints.position
    request, started = checkpoints.request, position.reached > 0 or position.step > 0
    if network.backbone is not None and recipe.network.backbone is not None:
        set_trainable(network.backbone, recipe.network.backbone, stage.train != "heads", network.frozen)
        if isinstance(stage.train, LastParts):
            train_last(network.backbone, stage.train.last)
    model.changes_images, checkpoints.limited = stage.augment, True
    plain = not stage.augment or not recipe.training.changes_images
    if network.trunk is not None and stage.train == "heads" and plain:
        checkpoints.limited = False
        training_data = precompute(network.trunk, training_data, checkpoints.folder / FEATURES, checkpoints.progress)
        if request and not started:
            request.give_seen(training_data)
    elif network.trunk is not None and request and not started:
        request.look(network.trunk, training_data, checkpoints.folder / FEATURES, checkpoints.progress)
    batches = Batches(training_data, recipe.training.batch_size, recipe.seed)
    valid = OneEpoch(training_data, training_data.valid, recipe.training.batch_size)
    checkpoints.steps, checkpoints.images = batches.steps, len(training_data.train)
    compile_stage(model, network, recipe, stage, batches.steps)
    while position.reached < end and not checkpoints.is_over():
        # An interrupted epoch is finished by a fit of its own. Whatever the last fit ended with (Keras then puts
        # averages in the weights' place), this one continues from what was saved.
        checkpoints.restored = False
        batches.start = position.epoch * batches.steps + position.step
        model.fit(
            batches,
            steps_per_epoch=batches.steps - position.step,
            initial_epoch=position.epoch,
            epochs=position.epoch + 1 if position.step else end,
            validation_data=valid if len(training_data.valid) else None,
            callbacks=checkpoints.callbacks(),
            shuffle=False,
            verbose=0,
        )
        checkpoints.note_stop()


def _list_stages(recipe: Recipe) -> list[tuple[Stage, int, int]]:
    """The recipe's stages, each with the epochs before it and at its end; cut where the recipe's epochs are over."""
    stages, most = recipe.training.plan(), recipe.training.epochs
    ends = [min(end, most) for end in itertools.accumulate(stage.epochs for stage in stages)]
    return list(zip(stages, [0, *ends], ends, strict=False))


def compile_stage(model: MultiTaskModel, network: Network, recipe: Recipe, stage: Stage, steps: int) -> None:
    """Give the model an optimiser of the stage's own."""
    variables, decay = model.trainable_variables, recipe.training.layer_decay
    rates = layer_rates(network.backbone, decay, variables) if network.backbone is not None and decay else []
    model.compile(optimizer=make_optimizer(recipe.training, stage, steps, variables, rates))
