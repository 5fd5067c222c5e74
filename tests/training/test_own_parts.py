"""Parts of the user's own, named by dotted paths: what they may be, and what is told of those that are not that."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from conftest import TINY_RECIPE
from plugins import GUIDE, forgotten, install_guide
from polyhead.errors import PolyheadError
from polyhead.recipe.loading import load_recipe
from polyhead.recipe.own_parts import list_own_code
from polyhead.recipe.schema import Recipe
from polyhead.recipe.yaml import read_yaml
from polyhead.training import WEIGHTS
from polyhead.training.augmentation import RandomChange
from polyhead.training.batches import TrainingData
from polyhead.training.checkpoint_callback import RunContext
from polyhead.training.diagram import describe_network
from polyhead.training.fit import train_network
from polyhead.training.multi_task import MultiTaskModel
from polyhead.training.network import Network, build_network
from polyhead.training.own_backbone import keep_backbone

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
COLORS = ["red", "blue", "green"] * 4
BROKEN = """
import keras
from keras import layers

number = 7

def fails(input_shape):
    raise RuntimeError("no such stage")

def gives_text(input_shape):
    return "a network"

def of_other_images(input_shape):
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)])

def of_two_outputs(input_shape):
    pixels = keras.Input(input_shape)
    return keras.Model(pixels, [layers.Conv2D(2, 3)(pixels), layers.Conv2D(2, 3)(pixels)])

def of_sequences(input_shape):
    pixels = keras.Input(input_shape)
    return keras.Model(pixels, layers.Reshape((-1, 3))(pixels))

def summed(targets, logits):
    return keras.ops.sum(targets - logits)

class Halves(layers.Layer):
    def call(self, images):
        return images[:, ::2]
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path, with the guide's own examples as `my_parts` and others that are wrong as `broken_parts`."""
    folder = tmp_path / "code"
    install_guide(folder)
    (folder / "broken_parts.py").write_text(BROKEN, encoding="utf-8")
    (folder / "unfinished.py").write_text("import no_such_library\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    with forgotten(folder):
        yield folder


def make_recipe(folder: Path, *settings: str) -> Recipe:
    (folder / "tiny.yaml").write_text(TINY_RECIPE, encoding="utf-8")
    plain = ["tasks={color: {kind: categorical}}", "image.size=[32, 32]", "training={epochs: 3, batch_size: 4}"]
    return load_recipe(folder / "tiny.yaml", [*plain, *settings])


def build(recipe: Recipe) -> Network:
    return build_network(recipe, {"color": recipe.tasks["color"].fit("color", COLORS)})


BACKBONE = "network={backbone: {builder: 'my_parts:build_backbone', arguments: {filters: 4}}}"
LOSS = "tasks.color.loss=my_parts:poly_loss"
LAYER = "training.augment.layers=[{builder: 'my_parts:Stripes', arguments: {every: 2}}]"


def train(folder: Path, recipe: Recipe, *callbacks: keras.callbacks.Callback) -> None:
    folder.mkdir(exist_ok=True)
    tasks = {"color": recipe.tasks["color"].fit("color", COLORS)}
    data = TrainingData(
        lambda rows: IMAGES[rows], {"color": tasks["color"].encode(COLORS)}, np.arange(8), np.arange(8, 12)
    )
    train_network(recipe, tasks, data, RunContext(folder, callbacks=callbacks))


@pytest.mark.usefixtures("own")
def test_a_builders_network_is_the_trunk_of_all_tasks(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, BACKBONE, LOSS, LAYER)
    assert "my_parts" not in sys.modules  # reading a recipe imports nothing of it
    network = build(recipe)
    found = network.core(IMAGES.astype("float32"))
    assert found["features"].shape == (12, 16)
    assert found["color"].shape == (12, 3)
    assert network.trunk is not None  # so that stages which leave it as it is read its vectors


@pytest.mark.usefixtures("own")
def test_the_picture_of_a_network_shows_an_own_backbone_as_one_box(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, BACKBONE)
    network = build(recipe)
    diagram = describe_network(network, recipe)
    (box,) = [box for box in diagram.boxes if box.backbone]
    assert box.backbone == "my_parts:build_backbone"
    assert box.shape == [4, 4, 16]
    assert sum(box.parameters for box in diagram.boxes) == network.core.count_params()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("{builder: 'nowhere.parts:build'}", "builder: there is no module 'nowhere'; install its package, or put"),
        ("{builder: 'my_parts.inner:build'}", "builder: there is no module 'my_parts.inner'"),
        ("{builder: 'unfinished:build'}", "importing unfinished failed: ModuleNotFoundError: No module named 'no_such"),
        ("{builder: 'my_parts:build'}", "builder: there is no build in my_parts"),
        ("{builder: 'broken_parts:number'}", "expected a function or a class; broken_parts:number is of type int"),
        ("{builder: 'broken_parts:fails'}", "calling broken_parts:fails failed: RuntimeError: no such stage (line 8 "),
        ("{builder: 'my_parts:build_backbone', arguments: {width: 2}}", "unexpected keyword argument 'width'"),
        ("{builder: 'broken_parts:gives_text'}", "broken_parts:gives_text: expected a keras.Model; got str"),
        ("{builder: 'broken_parts:of_other_images'}", "expected a model of images (None, 32, 32, 3) (image.size); thi"),
        ("{builder: 'broken_parts:of_two_outputs'}", "expected a model of one output; this one has 2"),
        ("{builder: 'broken_parts:of_sequences'}", "expected an output (n, height, width, channels) or (n, channels)"),
    ],
)
@pytest.mark.usefixtures("own")
def test_what_is_wrong_with_a_builder_is_told_in_a_line(tmp_path: Path, setting: str, words: str) -> None:
    recipe = make_recipe(tmp_path, f"network={{backbone: {setting}}}")
    with pytest.raises(PolyheadError) as error:
        build(recipe)
    assert str(error.value).startswith("network.backbone")
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "network={backbone: {builder: 'a:b', name: MobileNetV2}}",
            "expected one of name, builder, model, preset; got n",
        ),
        (
            "network={backbone: {pooling: max}}",
            "backbone: expected one of name, builder, model, preset; got none of th",
        ),
        ("network={backbone: {builder: 'a:b', weights: imagenet}}", "weights: are for a `name`"),
        ("network={backbone: {builder: 'a:b', width: 0.5}}", "width: a:b has none"),
        ("network={backbone: {name: MobileNetV2, arguments: {x: 1}}}", "arguments: are for a `builder`"),
        ("network={backbone: {builder: build}}", "network.backbone.builder: expected package.module:function; got 'bu"),
        ("network={backbone: {builder: 'os:system'}}", "expected a function in a module of your own; os is Python's"),
        ("network={backbone: {builder: '__main__:f'}}", "expected a function in a module of your own; __main__ is P"),
        ("tasks.color.loss=crossentropy", "expected cross_entropy, focal; got 'crossentropy' (did you mean 'cross_ent"),
        ("tasks.color={kind: categorical, loss: 'a:b', label_smoothing: 0.1}", "label_smoothing has no effect with a"),
        ("training.augment.layers=[{builder: 3}]", "training.augment.layers.0.builder: expected a valid string"),
    ],
)
def test_a_recipe_that_names_no_part_of_ones_own_is_refused(tmp_path: Path, setting: str, words: str) -> None:
    with pytest.raises(PolyheadError) as error:
        make_recipe(tmp_path, setting)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("tasks.color.loss=my_parts:no_loss", "tasks.color.loss: there is no no_loss in my_parts"),
        (
            "tasks.color.loss=broken_parts:summed",
            "tasks.color.loss: expected values (2, 1) for two rows; broken_part",
        ),
        ("tasks.color.loss=my_parts:build_backbone", "tasks.color.loss: calling my_parts:build_backbone failed"),
        ("training.augment.layers=[{builder: 'my_parts:poly_loss'}]", "layers.0.builder: calling my_parts:poly_loss"),
        ("training.augment.layers=[{builder: 'broken_parts:Halves'}]", "expected images (2, 32, 32, 3) back, as given"),
        (
            "training.augment.layers=[{builder: 'keras.layers:Conv2D', arguments: {filters: 2, kernel_size: 3}}]",
            "(2, 3",
        ),
        ("training.augment.layers=[{builder: 'keras.ops:zeros', arguments: {shape: 3}}]", "expected a keras.layers.La"),
    ],
)
@pytest.mark.usefixtures("own")
def test_what_is_wrong_with_a_loss_or_a_layer_is_told_before_training(tmp_path: Path, setting: str, words: str) -> None:
    recipe = make_recipe(tmp_path, setting)
    with pytest.raises(PolyheadError) as error:
        MultiTaskModel(build(recipe), recipe)
    assert words in str(error.value)


@pytest.mark.usefixtures("own")
def test_an_own_loss_counts_known_labels_alone_in_every_kind(tmp_path: Path) -> None:
    (tmp_path / "code/losses_of_all.py").write_text(
        "def square(targets, logits):\n    return (targets - logits) ** 2\n"
    )
    tasks = {"shape": "binary", "marks": "multilabel", "width": "regression", "size": "ordinal"}
    labels = {"shape": ["disc", ""], "marks": ["dot", "?dot|bar"], "width": ["1", ""], "size": ["M", ""]}
    learnt = {"shape": ["disc", "square"], "marks": ["dot|bar"], "width": ["1", "3"], "size": ["S"]}
    for name, kind in tasks.items():
        more = {"shape": ", labels: [disc, square]", "size": ", levels: [S, M, L]"}.get(name, "")
        setting = f"tasks={{{name}: {{kind: {kind}, loss: 'losses_of_all:square'{more}}}}}"
        recipe = make_recipe(tmp_path, setting)
        task = recipe.tasks[name].fit(name, learnt[name])
        head = MultiTaskModel(build_network(recipe, {name: task}), recipe).heads[name]
        values, known = head.loss(ops.convert_to_tensor(task.encode(labels[name])), ops.zeros((2, head.units)))
        assert values.shape == known.shape
        assert np.isfinite(ops.convert_to_numpy(values)).all()
        assert ops.convert_to_numpy(known)[1].sum() == (1 if name == "marks" else 0)


@pytest.mark.usefixtures("own")
def test_own_layers_change_images_in_training_alone(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, LAYER)
    changed = ops.convert_to_numpy(RandomChange(recipe.training.augment, 0)(IMAGES.astype("float32")))
    assert (changed[:, ::2] == 0).all()
    np.testing.assert_array_equal(changed[:, 1::2], IMAGES[:, 1::2])
    model = MultiTaskModel(build(recipe), recipe)
    plain = build(make_recipe(tmp_path))
    plain.core.set_weights(model.core.get_weights())
    found, expected = model(IMAGES)["color"], plain.core(IMAGES.astype("float32"))["color"]
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=1e-5)


class Watcher(keras.callbacks.Callback):
    """Counts what it is told, and can stop the training or fail."""

    def __init__(self, stop_at: int = -1, fail_at: int = -1) -> None:
        super().__init__()
        self.stop_at, self.fail_at = stop_at, fail_at
        self.begun = self.ended = self.batches = 0
        self.epochs: list[int] = []

    def on_train_begin(self, logs: object = None) -> None:
        self.begun += 1

    def on_train_end(self, logs: object = None) -> None:
        self.ended += 1

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.batches += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epochs.append(epoch)
        assert logs is not None
        assert "val_color.accuracy" in logs
        if epoch == self.stop_at:
            self.model.stop_training = True
        if epoch == self.fail_at:
            raise LookupError("the user's own")


STAGES = "training={stages: [{train: heads, epochs: 2}, {train: all, epochs: 1}], batch_size: 4}"


@pytest.mark.usefixtures("own")
def test_a_callback_sees_one_training_whatever_its_stages(tmp_path: Path) -> None:
    watcher = Watcher()
    train(tmp_path / "run", make_recipe(tmp_path, BACKBONE, STAGES, LOSS, LAYER), watcher)
    assert (watcher.begun, watcher.ended) == (1, 1)
    assert watcher.epochs == [0, 1, 2]
    assert watcher.batches == 3 * 2  # eight rows in batches of four
    assert (tmp_path / "run" / WEIGHTS).exists()


@pytest.mark.usefixtures("own")
def test_a_callback_can_end_the_training_and_a_resumed_run_stays_ended(tmp_path: Path) -> None:
    recipe, watcher = make_recipe(tmp_path, BACKBONE, STAGES), Watcher(stop_at=0)
    train(tmp_path / "run", recipe, watcher)
    assert watcher.epochs == [0]
    assert watcher.ended == 1
    before = (tmp_path / "run" / WEIGHTS).read_bytes()
    train(tmp_path / "run", recipe)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == before
    assert len((tmp_path / "run/history.csv").read_text(encoding="utf-8").splitlines()) == 1 + 1


@pytest.mark.usefixtures("own")
def test_what_a_callback_raises_is_the_users_own_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path, BACKBONE, LOSS, LAYER)
    with pytest.raises(LookupError, match="the user's own"):
        train(tmp_path / "run", recipe, Watcher(fail_at=1))
    resumed = Watcher()
    train(tmp_path / "run", recipe, resumed)
    assert resumed.epochs == [2]
    train(tmp_path / "whole", recipe)
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


@pytest.mark.usefixtures("own")
def test_layers_that_a_builder_froze_are_never_trained(tmp_path: Path) -> None:
    (tmp_path / "code/frozen_parts.py").write_text(
        "import my_parts\n\ndef build(input_shape):\n    model = my_parts.build_backbone(input_shape)\n"
        "    model.layers[2].trainable = False\n    return model\n",
        encoding="utf-8",
    )
    recipe = make_recipe(tmp_path, "network={backbone: {builder: 'frozen_parts:build'}}")
    network = build(recipe)
    assert len(network.frozen) == 1
    train(tmp_path / "run", recipe)
    keras.utils.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    begun, ended = build(recipe), build(recipe)
    ended.core.load_weights(tmp_path / "run" / WEIGHTS)
    first, last = begun.frozen[0].get_weights(), ended.frozen[0].get_weights()
    np.testing.assert_array_equal(first[1], last[1])  # its biases, which begin as zeros
    assert not np.allclose(begun.core.get_weights()[-1], ended.core.get_weights()[-1])


def small_model(*more: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, strides=8), *more])


HANDED = ["network={backbone: {model: state/backbone.keras}}", "training={epochs: 1, batch_size: 4}"]


def test_a_model_that_is_handed_over_is_kept_with_its_weights_and_built_again(tmp_path: Path) -> None:
    model = small_model(keras.layers.BatchNormalization(), keras.layers.ReLU())
    recipe = keep_backbone(make_recipe(tmp_path, *HANDED), model, tmp_path, tmp_path)
    found = build_network(recipe, {"color": recipe.tasks["color"].fit("color", COLORS)}, folder=tmp_path)
    pixels = IMAGES.astype("float32")
    assert found.backbone is not None
    kept = ops.convert_to_numpy(found.backbone(pixels))
    np.testing.assert_allclose(kept, ops.convert_to_numpy(model(pixels)), rtol=1e-6)
    train(tmp_path, recipe)
    assert (tmp_path / WEIGHTS).exists()


def test_a_file_of_a_model_is_found_beside_the_recipe_and_kept_in_the_run(tmp_path: Path) -> None:
    small_model().save(tmp_path / "mine.keras")
    (tmp_path / "run").mkdir()
    recipe = make_recipe(tmp_path, "network={backbone: {model: mine.keras}}")
    kept = keep_backbone(recipe, None, tmp_path, tmp_path / "run")
    assert kept.network.backbone
    assert kept.network.backbone.model == "state/backbone.keras"
    assert (tmp_path / "run/state/backbone.keras").exists()
    assert keep_backbone(make_recipe(tmp_path), None, tmp_path, tmp_path / "run") == make_recipe(tmp_path)


@keras.saving.register_keras_serializable("mine")
class Doubled(keras.layers.Layer):
    """A layer of one's own, registered in this process and in no other."""

    def call(self, x: object) -> object:
        return ops.multiply(x, 2)


def activation(x: object) -> object:
    return ops.relu(x)


keras.saving.register_keras_serializable("mine")(activation)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            lambda: small_model(Doubled()),
            "backbone: Doubled is not one of Keras's own layers and cannot be kept; give",
        ),
        (
            lambda: small_model(keras.layers.Activation(activation)),
            "backbone: the model cannot be read from its file",
        ),
        (lambda: small_model(keras.layers.Lambda(lambda x: x)), "backbone: Lambda is not one of Keras's own layers"),
        (lambda: "resnet", "backbone: expected a keras.Model; got str"),
        (lambda: keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Flatten()]), "this one takes (None, 64, 64"),
    ],
)
def test_a_model_that_cannot_be_kept_is_told_in_a_line(tmp_path: Path, model: Callable[[], object], words: str) -> None:
    with pytest.raises(PolyheadError) as error:
        keep_backbone(make_recipe(tmp_path, *HANDED), model(), tmp_path, tmp_path)
    assert words in str(error.value)
    assert not (tmp_path / "state/backbone.keras").exists()


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\3\4 cut off"])
def test_a_damaged_file_of_a_model_is_told_in_a_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "mine.keras").write_bytes(content)
    recipe = make_recipe(tmp_path, "network={backbone: {model: mine.keras}}")
    with pytest.raises(PolyheadError, match=r"^network\.backbone\.model: (there is no file|.* is no \.keras file)"):
        keep_backbone(recipe, None, tmp_path, tmp_path)


@pytest.mark.usefixtures("own")
def test_the_guides_callback_ends_the_training_when_it_says(tmp_path: Path) -> None:
    stop_when_good = importlib.import_module("my_parts").StopWhenGood("color", 0.0)
    train(tmp_path / "run", make_recipe(tmp_path, BACKBONE), stop_when_good)
    assert len((tmp_path / "run/history.csv").read_text(encoding="utf-8").splitlines()) == 1 + 1


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL))
def test_the_guides_recipes_are_recipes(tmp_path: Path, block: str) -> None:
    whole = read_yaml(TINY_RECIPE, "tiny")
    assert list_own_code(load_recipe(whole | read_yaml(block, "the guide")))
