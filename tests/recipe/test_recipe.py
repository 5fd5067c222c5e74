"""A recipe says it all, and a mistake in one is a line that names the key."""

import json
import os
from pathlib import Path

import pytest

from polyhead.errors import PolyheadError
from polyhead.recipe.builtin import built_in_names
from polyhead.recipe.loading import check_recipe, load_recipe, recipe_values, write_recipe
from polyhead.recipe.schema import Recipe
from polyhead.recipe.size import check_size
from polyhead.tasks import MultiLabel


@pytest.mark.parametrize("name", built_in_names())
def test_a_written_recipe_reads_back_the_same(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name, data__path="somewhere", seed=7)
    (tmp_path / "recipe.yaml").write_text(write_recipe(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    assert check_recipe(json.loads(json.dumps(recipe_values(recipe))), "") == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "training.epoch: there is no such key (did you mean 'epochs'?); expected augment, "),
        ("tasks.color.kind=catagorical", "tasks.color.kind: expected categorical, multilabel, binary, regression, "),
        ("tasks.color.kind=catagorical", "got 'catagorical' (did you mean 'categorical'?)"),
        ("tasks.color.clases=[a]", "tasks.color.clases: there is no such key (did you mean 'classes'?)"),
        ("tasks.color={}", "tasks.color.kind: is missing"),
        ("tasks.color.counts={red: 1}", "tasks.color.counts: is learnt from the data; remove it"),
        ("tasks.colour.kind=binary", "tasks.colour: 'colour' is not among the fields of the source's pattern (color, "),
        ("tasks.features.kind=binary", "'features' cannot be a task's name"),
        ("training.epochs=abc", "training.epochs: expected a valid integer"),
        ("training.epochs=0", "training.epochs: expected greater than or equal to 1; got 0"),
        ("training=5", "training: expected keys; got 5"),
        ("training.epochs.a=5", "training.epochs.a: there is no such key to set; training.epochs holds no keys"),
        ("training.augment.crop=0", "training.augment.crop: expected greater than 0; got 0"),
        ("training.augment.crop=1.5", "training.augment.crop: expected less than or equal to 1; got 1.5"),
        ("training.augment.policy=rand", "training.augment.policy: expected none, randaugment, trivialaugment; got 'r"),
        ("training.augment={policy: randaugment, policy_strength: 0}", "policy_strength: expected greater than 0"),
        ("training.augment.policy_colors=false", "training.augment: policy_colors has an effect with `policy: rand"),
        ("training.augment.policy_strength=1", "training.augment: policy_strength has an effect with `policy: rand"),
        ("training.mix.mixup=-1", "training.mix.mixup: expected greater than or equal to 0; got -1"),
        ("training.mix={mixup: 0.2, chance: 0}", "training.mix.chance: expected greater than 0; got 0"),
        ("training.mix.chance=0.5", "training.mix: chance has an effect with `mixup` or `cutmix` only; give one"),
        ("tasks.color={kind: regression, bins: 1}", "tasks.color.bins: expected greater than or equal to 2; got 1"),
        ("tasks.color={kind: binary, bins: 9}", "tasks.color.bins: there is no such key"),
        ("tasks.color={kind: regression, learnt_bins: {}}", "tasks.color.learnt_bins: is learnt from the data; remove"),
        ("training={teacher: run, teacher_weight: 0}", "training.teacher_weight: expected greater than 0; got 0"),
        ("training={teacher: run, teacher_temperature: 0.5}", "training.teacher_temperature: expected greater than or"),
        ("training.teacher_weight=0.9", "training: teacher_weight has an effect with `teacher` only; give that too"),
        ("training.keep=best", "data.split.valid: there are no validation images to select the best epoch"),
        (
            "tasks.color.answer_accuracy=0.9",
            "data.split.valid: there are no validation images, which tasks.color.answer_accuracy needs",
        ),
        ("tasks.color.answer_accuracy=95", "tasks.color.answer_accuracy: expected less than or equal to 1; got 95"),
        ("tasks.color.threshold=best_f1", "tasks.color.threshold: there is no such key"),
        ("tasks.color.temperature=2", "tasks.color.temperature: is learnt from the data; remove it"),
        ("tasks.color={kind: regression, answer_accuracy: 0.9}", "tasks.color.answer_accuracy: there is no such key"),
        ("training.optimizer=adm", "got 'adm' (did you mean 'adam'?)"),
        ("image.size=[96]", "image.size.1: has too few values; got [96]"),
        ("image.size=[8, 8]", "network.branches.category: its pools leave nothing of an image of 8x8"),
        ("data.split.hold_out=[{colour: red}]", "'colour' is not among the tasks (category, color)"),
        ("data.split.valid=2", "data.split.valid: expected less than 1; got 2"),
        (
            "data.source.kind=foldr",
            "data.source.kind: expected files, folders, csv, table, fashionai, celeba; got 'foldr'",
        ),
        ("data.source={kind: celeba, keep: [Male], drop: [Bald]}", "data.source: give `keep` or `drop`, not both"),
        (
            "network.branches.color.color_mode=grey",
            "network.branches.color.color_mode: expected rgb, grayscale; got 'grey'",
        ),
        (
            "network.trunk={blocks: [{filters: 8}]}",
            "network.trunk: every task has a branch of its own; remove the trunk",
        ),
        ("tasks.color.focusing=3", "tasks.color: focusing has an effect with `loss: focal` only; set that too"),
        ("tasks.color.loss=asymmetric", "tasks.color.loss: expected cross_entropy, focal; got 'asymmetric'"),
        ("tasks.color.class_weight=balance", "got 'balance' (did you mean 'balanced'?)"),
        ("training.sampler_task=color", "training: sampler_task has an effect with `sampler: balanced` only"),
        (
            "training={sampler: balanced, sampler_task: colour}",
            "training.sampler_task: 'colour' is not among the tasks",
        ),
        ("network={}", "network: expected `backbone`, `trunk` or `branches`"),
        ("network.branches={color: {blocks: [{filters: 8}]}}", "network.branches: the task category has no branch"),
        ("network.trunk={blocks: [{filters: a}]}", "network.trunk.blocks.0.filters: expected a valid integer"),
        ("epochs", "`overrides` epochs: expected KEY=VALUE, such as training.epochs=5"),
        ("image.size=wide", "image.size: expected [height, width], or one number for a square; got 'wide'"),
        ("training.epochs=1e20", "training.epochs: expected a smaller number; got 1e+20"),
        ("training.batch_size=1000000000000", "training.batch_size: expected less than or equal to 1000000; got 1000"),
        ("training.learning_rate=.inf", "training.learning_rate: expected a finite number; got inf"),
        (
            "training.seed=" + "9" * 6000,
            "`overrides` training.seed: line 1: a number of 6,000 digits is more than",
        ),
        ("seed=!!int 'abc'", "`overrides` seed: line 1: the tag tag:yaml.org,2002:int makes no value of a recipe"),
        ("tasks.color.loss_weight=.nan", "tasks.color.loss_weight: expected a finite number; got nan"),
        ("tasks.color.classes=[red, red]", "tasks.color.classes: 'red' is there 2 times; once is enough"),
        ("tasks.color.classes=[null]", "tasks.color.classes.0: expected a valid string; got None"),
        (
            'tasks.color.classes=["a\\nb"]',
            "tasks.color.classes: a name may not hold a control character; got 'a",
        ),
        ("tasks.color={kind: multilabel, labels: [a, a]}", "tasks.color.labels: 'a' is there 2 times"),
        ("tasks.color={kind: ordinal, levels: [1, 1]}", "tasks.color.levels: '1' is there 2 times"),
        ("tasks.color.blank=[x, x]", "tasks.color.blank: 'x' is there 2 times"),
        ("tasks.color.values={0: x, '0': y}", "tasks.color.values: two of its keys are the same text"),
        ("tasks.color={kind: regression, ranges: [3, 1, 2]}", "tasks.color: ranges: expected edges that ascend"),
        ("tasks.color={kind: regression, ranges: [.nan]}", "tasks.color.ranges.0: expected a finite number; got nan"),
        ("tasks.color={kind: regression, minimum: 2, maximum: 1}", "tasks.color: minimum is 2, but maximum is 1"),
        ("tasks={" + "x" * 500 + ": {kind: binary}}", "a name has 200 characters at most; 'xxxx"),
        ("tasks={1: {kind: binary}}", "tasks.1: expected a key that is text; put '1' between quotes"),
        ("data.split.stratify=[color, color]", "data.split.stratify: 'color' is there 2 times"),
        ("data.split.hold_out=[{color: red}, {color: red}]", "data.split.hold_out: 'color: red' is there 2 times"),
        ("data.split.valid=tset", "data.split.valid: expected test; got 'tset' (did you mean 'test'?)"),
        ("data.source={kind: celeba, drop: [Bald, Bald]}", "data.source.drop: 'Bald' is there 2 times"),
        ('data.split.file="a\\0b"', "data.split.file: the path holds a NUL"),
        ("image.cache=~nosuchuser", "image.cache: there is no user ~nosuchuser"),
        ("data.path=" + "x" * 300, "data.path: the path has a name of 300 bytes in it; 255 is the most"),
        (
            "network.branches.color.blocks=[{filters: 0}]",
            "blocks.0.filters: expected greater than or equal to 1",
        ),
        ("network.branches.color.blocks=[{filters: []}]", "blocks.0.filters: expected at least 1 item; got 0"),
        (
            "network.branches.color.blocks=[{filters: 8, kernel: 100000}]",
            "blocks.0.kernel: expected less than or equal",
        ),
        ("network.branches.color.dense=[1000000000]", "network.branches.color.dense.0: expected less than or equal to"),
        ("training.optimizer=ADAM", "got 'ADAM' (did you mean 'adam'?)"),
        ("image.size=[1, 2", "`overrides` image.size: line 1: "),
    ],
)
def test_a_mistake_names_its_key_and_the_nearest_right_word(override: str, message: str) -> None:
    with pytest.raises(PolyheadError) as error:
        load_recipe("fashionnet", [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: {a: {kind: binary}, a: {kind: binary}}", 'line 1: found duplicate key "a"'),
        ("[1, 2]", "expected a recipe"),
        ("", "is empty; write a recipe into it, such as what `init DATA` prints"),
        ("[" * 3000, "line 1: more than 50 levels lie one in another here"),
        ("a: &a [*a]", "line 1: *a stands within itself"),
        ("a: 1\n---\nb: 2", "line 2: a second document begins here"),
        ("\n".join(f"k{number}: 1" for number in range(60_000)), "line 25000: there are more than 50,000 values"),
        (LAUGHS, "line 6: there are more than 50,000 values up to here"),
        ("x" * 2_000_000, "is too large for a recipe: more than 1,048,576 bytes"),
        ("name: [", "line 1: "),
        ("name: x\ntasks: {a: {kind: binary}}\nnetwork: {trunk: {blocks: [{filters: 4}]}}", "data: is missing"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PolyheadError) as error:
        load_recipe(tmp_path / "my.yaml")
    assert str(error.value).startswith(f"{tmp_path / 'my.yaml'}: ")
    assert message in str(error.value)


def test_what_is_no_file_of_text_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\xff\x00" * 100)
    (tmp_path / "labels.csv").write_text("image,color\na.png,red\n", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe.yaml")
    for given, words in (
        (tmp_path / "model.onnx", "it looks like a model, and a recipe is a YAML file"),
        (tmp_path / "labels.csv", f"such as `init {tmp_path / 'labels.csv'}` prints for labelled images"),
        (tmp_path, f"is a folder, not a recipe; `init {tmp_path}` proposes one"),
        (tmp_path / "pipe.yaml", "is empty"),
        ("/dev/zero", "cannot be read as a recipe: is not a regular file"),
        ("x" * 300 + ".yaml", "this one has a name of 305 bytes in it"),
        ("a\0b", "this one holds a NUL"),
    ):
        with pytest.raises(PolyheadError) as error:
            load_recipe(given)
        assert words in str(error.value)


def test_aliases_and_merge_keys_within_bounds_are_read(tmp_path: Path) -> None:
    text = "name: x\ndata: {source: {kind: csv}}\ntasks: {a: {kind: binary}, b: {kind: binary}}\nnetwork: {branches: "
    stack = "{blocks: [{filters: 4}]}"
    (tmp_path / "one.yaml").write_text(f"{text}{{a: &a {stack}, b: {{<<: *a, dense: [8]}}}}}}", encoding="utf-8")
    (tmp_path / "two.yaml").write_text(
        f"{text}{{a: {stack}, b: {{blocks: [{{filters: 4}}], dense: [8]}}}}}}", encoding="utf-8"
    )
    assert load_recipe(tmp_path / "one.yaml") == load_recipe(tmp_path / "two.yaml")


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("image.size=96", "image.size=[96, 96]"),
        ("data.source.pattern={color}-{category}", "data.source.pattern='{color}-{category}'"),
        ("description=2024-02-30", "description='2024-02-30'"),
        ("description=a: [b", "description='a: [b'"),
    ],
)
def test_a_value_may_be_written_as_a_person_would(override: str, found: str) -> None:
    assert load_recipe("fashionnet", [override]) == load_recipe("fashionnet", [found])


def test_a_network_that_cannot_fit_is_refused_with_its_largest_part() -> None:
    huge = load_recipe("fashionnet", ["network.branches.color.dense=[1000000]"])
    with pytest.raises(PolyheadError, match=r"^network.branches.color.dense: has [\d,]+ weights or more, .* 2.1 GB"):
        check_size(huge, 100)
    wide = load_recipe("fashionnet", ["image.size=4096", "training.batch_size=1000000"])
    wide = wide.model_copy(update={"network": load_recipe("fashionnet-best").network})
    with pytest.raises(PolyheadError, match=r"a training step of 1,000,000 images needs [\d,.]+ GB of memory or more"):
        check_size(wide, 1_000_000)
    check_size(wide, 1)  # a step shows no more images than there are


@pytest.mark.parametrize("name", built_in_names())
def test_the_recipes_inside_fit(name: str) -> None:
    check_size(load_recipe(name), 200_000)


FORMER_NAMES = {
    "data.weight=trust": "data.sample_weight=trust",
    "training.ema=0.9": "training.ema_momentum=0.9",
    "training.balance=uncertainty": "training.task_weighting=uncertainty",
    "network.backbone={name: MobileNetV2, view: gray}": "network.backbone={name: MobileNetV2, color_mode: grayscale}",
    "network.branches.color={view: gray, blocks: [{filters: 8}]}": (
        "network.branches.color={color_mode: grayscale, blocks: [{filters: 8}]}"
    ),
}


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_a_key_may_have_its_former_name(former: str, name: str) -> None:
    others = ["data.source={kind: csv}"]
    recipe = (
        load_recipe("celeba-best", [*others, former]) if "branches" not in former else load_recipe("demo", [former])
    )
    assert recipe == load_recipe(recipe.name, [*(others if recipe.name != "demo" else ()), name])
    assert recipe != load_recipe(recipe.name)


def test_an_override_by_a_former_name_replaces_the_value() -> None:
    assert load_recipe("celeba-best", ["training.ema=0.5"]).training.ema_momentum == 0.5
    old = load_recipe("celeba-best").to_dict()
    old["training"] = {"ema": 0.9}
    assert load_recipe(old, ["training.ema_momentum=0.5"]).training.ema_momentum == 0.5


def test_a_key_under_both_of_its_names_is_refused() -> None:
    with pytest.raises(
        PolyheadError, match="training: `ema` is the former name of `ema_momentum`; give only the latter"
    ):
        load_recipe("celeba-best", ["training={ema: 0.9, ema_momentum: 0.8}"])


def test_a_key_of_another_kind_is_told_as_such() -> None:
    with pytest.raises(PolyheadError) as error:
        load_recipe("utkface", ["tasks.age.class_weight=balanced"])
    assert str(error.value).startswith(
        "utkface: tasks.age.class_weight: there is no such key here, but in kind: categorical, multilabel, binary, "
        "ordinal; expected bins, blank, column, "
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["tasks.attributes.published.accuracy={Bald: 98}"],
            "tasks.attributes.published.accuracy.Bald: expected less than or equal to 1; got 98",
        ),
        (
            ["tasks.attributes.labels=[Bald, Young]", "tasks.attributes.published.accuracy={Bold: .98}"],
            "tasks.attributes.published.accuracy: 'Bold' is not among the task's labels (Bald, Young, Attractive, "
            "Pale_Skin, Blurry) (did you mean 'Bald'?)",
        ),
    ],
)
def test_published_figures_are_of_the_tasks_labels_and_shares(settings: list[str], message: str) -> None:
    with pytest.raises(PolyheadError) as error:
        load_recipe("celeba", settings)
    assert str(error.value) == f"celeba: {message}"


@pytest.mark.parametrize("source", ["{kind: celeba, keep: [Young]}", "{kind: celeba, drop: [Bald]}"])
def test_published_figures_of_labels_that_are_left_out_are_no_mistake(source: str) -> None:
    published = "tasks.attributes.published={column: Paper, accuracy: {Bald: .98, Young: .87}}"
    load_recipe("celeba", [f"data.source={source}", "tasks.attributes.labels=[Young]", published])


def test_an_unknown_recipe_is_told_with_those_there_are() -> None:
    with pytest.raises(PolyheadError, match=r"no recipe is called 'fashionnt' \(did you mean 'fashionnet'\?\)"):
        load_recipe("fashionnt")


def test_yaml_is_read_as_version_1_2() -> None:
    recipe = load_recipe(
        "fashionnet", ["image.cache=off", "training.learning_rate=1e-4", "tasks.color.classes=[no, 1]"]
    )
    assert (recipe.image.cache, recipe.training.learning_rate) == ("off", 0.0001)
    assert recipe.tasks["color"].names == ("no", "1")


def test_two_branches_of_one_name_are_refused(tmp_path: Path) -> None:
    text = write_recipe(load_recipe("fashionnet"))
    branch = "    color:\n      blocks: [{filters: 4}]\n"
    (tmp_path / "my.yaml").write_text(text.replace("  branches:\n", f"  branches:\n{branch}"), encoding="utf-8")
    with pytest.raises(PolyheadError, match='found duplicate key "color"'):
        load_recipe(tmp_path / "my.yaml")


def test_the_published_recipes_are_as_published() -> None:
    fashion, faces = load_recipe("fashionnet"), load_recipe("utkface")
    assert fashion.network.branches["category"].color_mode == "grayscale"
    assert [block.convolutions for block in fashion.network.branches["category"].blocks] == [[32], [64, 64], [128, 128]]
    assert (fashion.training.epochs, fashion.training.batch_size, fashion.training.learning_rate) == (50, 32, 1e-3)
    assert {name: task.loss_weight for name, task in faces.tasks.items()} == {"age": 4, "gender": 0.1, "race": 1.5}
    assert faces.image.size == (198, 198)
    attributes = load_recipe("celeba").tasks["attributes"]
    assert isinstance(attributes, MultiLabel)
    published = attributes.published
    assert published is not None
    assert len(published.accuracy) == 40
    assert sum(published.accuracy.values()) / 40 == pytest.approx(0.87, abs=0.005)
    assert faces.network.branches["gender"].color_mode == "grayscale"


def test_the_schema_for_editors_holds_no_learnt_field() -> None:
    for name in ("counts", "temperature", "unsure_below", "calibrated_on"):
        assert name not in Recipe.model_json_schema()["$defs"]["Categorical"]["properties"]
