"""What a search may change: the few keys of a recipe that experts would change first, and within which bounds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyhead.errors import PolyheadError
from polyhead.recipe.augment import Mix
from polyhead.recipe.backbones import APPLICATIONS
from polyhead.recipe.loading import check_recipe, recipe_values
from polyhead.recipe.plan import choose_augment, find_weights
from polyhead.recipe.schema import Recipe

if TYPE_CHECKING:
    import optuna

Value = str | float
Values = dict[str, Any]  # keys of a recipe with their values
SCALES = (0.75, 1.0, 1.5)  # of the recipe's image size
STEP, SMALLEST = 8, 8  # pixels that sides are multiples of, and no smaller than
MIXES: Mapping[str, Values] = {"none": {}, "mixup 0.2": {"mixup": 0.2}, "cutmix 1": {"cutmix": 1.0}}
UNSAID = "none given"  # the recipe leaves it out
DECADE = 10.0  # how many times lower and higher the learning rate may be
MOST_DROPOUT = 0.5
MOST_STRENGTH = 2.0
# Of `training.augment`: what is more of a change the larger it is, and the largest value.
STRENGTHS = {"rotation": 180.0, "shear": 89.0, "shift": 1.0, "zoom": 1.0, "brightness": 1.0, "contrast": 1.0}
STRENGTHS |= {"policy_strength": 1.0, "saturation": 1.0, "hue": 1.0, "grayscale": 1.0, "blur": 1.0, "erase": 1.0}
LEAST_STRENGTH, LEAST_CROP = 0.01, 0.1  # a policy's, which cannot be 0; and of an image's area, what is shown
LAYER_DECAYS = (0.9, 0.8, 0.65)
WEIGHT_DECAYS = (0.001, 0.01, 0.05)


@dataclass(frozen=True)
class Knob:
    """One thing to change.

    Attributes:
        name: what a reader of the page knows it by.
        start: the recipe's own value.
        turn: sets a value in the recipe's plain values.
        choices: the values to choose among; none where there are bounds.
        low: the lowest value.
        high: the highest.
        log: whether values are drawn by their logarithm.
    """

    name: str
    start: Value
    turn: Callable[[Values, Any], None]
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def suggest(self, trial: "optuna.Trial") -> Value:
        """The value that a trial takes; the same one, whenever it is asked again."""
        if self.choices:
            return str(trial.suggest_categorical(self.name, self.choices))
        return float(trial.suggest_float(self.name, self.low, self.high, log=self.log))


def list_knobs(recipe: Recipe) -> list[Knob]:
    """What there is to change in a recipe; each has two values or more that give a valid one."""
    found = [_size(recipe), _network(recipe), _learning_rate(recipe), _layer_decay(recipe), _weight_decay(recipe)]
    found += [_dropout(recipe), _augment(recipe), _mix(recipe)]
    return [knob for knob in found if knob and len(knob.choices) != 1]


def change_recipe(recipe: Recipe, knobs: Iterable[Knob], chosen: Mapping[str, Value]) -> Recipe:
    """A recipe with the values that were chosen, by the knobs' names.

    Raises:
        PolyheadError: they do not go together.
    """
    values = recipe_values(recipe)
    for knob in knobs:
        if chosen[knob.name] != knob.start:
            knob.turn(values, chosen[knob.name])
    return check_recipe(values, recipe.name)


def _keep_valid(recipe: Recipe, knob: Knob) -> Knob:
    """The same without choices that give no valid recipe."""
    valid = []
    for choice in knob.choices:
        try:
            change_recipe(recipe, [knob], {knob.name: choice})
            valid.append(choice)
        except PolyheadError:  # a backbone wants larger images, pools leave nothing of smaller ones
            continue
    return Knob(knob.name, knob.start, knob.turn, tuple(valid))


def _size(recipe: Recipe) -> Knob | None:
    if recipe.network.backbone and recipe.network.backbone.model:  # which may take one size alone
        return None

    def turn(values: Values, choice: str) -> None:
        values["image"]["size"] = [int(side) for side in choice.split("x")]

    def scale(factor: float) -> str:
        sides = (max(SMALLEST, round(side * factor / STEP) * STEP) for side in recipe.image.size)
        return "x".join(map(str, sides))

    own = "x".join(map(str, recipe.image.size))
    choices = dict.fromkeys(own if factor == 1 else scale(factor) for factor in SCALES)
    return _keep_valid(recipe, Knob("image size", own, turn, tuple(choices)))


def _network(recipe: Recipe) -> Knob | None:
    """The recipe's own network, or in place of its trunk or backbone one of those whose weights are at hand."""
    own = recipe.network.backbone
    if not recipe.network.shared or (own and own.name is None):
        return None
    start = _title(own.name or "", own.width) if own else "trunk"
    others = {_title(name, width): (name, width) for name, width in find_weights()}

    def turn(values: Values, choice: str) -> None:
        name, width = others[choice]
        network = values["network"]
        old = network.pop("trunk", None) or network["backbone"]
        kept = {key: old[key] for key in ("color_mode", "dropout", "pooling", "dense") if own and key in old}
        network["backbone"] = {"name": name, "width": width, "dropout": old.get("dropout", 0.0)} | kept

    return _keep_valid(recipe, Knob("network", start, turn, tuple(dict.fromkeys([start, *others]))))


def _title(name: str, width: float) -> str:
    return f"{name} {width:g}" if APPLICATIONS[name].widths else name


def _learning_rate(recipe: Recipe) -> Knob:
    """Of the last stage; those of the others keep their ratio to it."""
    start = recipe.training.plan()[-1].learning_rate

    def turn(values: Values, rate: float) -> None:
        training = values["training"]
        for part in training["stages"] or [training]:
            part["learning_rate"] *= rate / start

    return Knob("learning rate", start, turn, low=start / DECADE, high=start * DECADE, log=True)


def _layer_decay(recipe: Recipe) -> Knob | None:
    if not recipe.network.backbone or all(stage.train == "heads" for stage in recipe.training.plan()):
        return None
    return _keep_valid(recipe, _choose("layer decay", "layer_decay", recipe.training.layer_decay, LAYER_DECAYS))


def _weight_decay(recipe: Recipe) -> Knob:
    return _choose("weight decay", "weight_decay", recipe.training.weight_decay, WEIGHT_DECAYS)


def _choose(name: str, key: str, start: float | None, others: Iterable[float]) -> Knob:
    """A number of `training` that may be left out, and a few others in its place."""
    own = UNSAID if start is None else f"{start:g}"

    def turn(values: Values, choice: str) -> None:
        values["training"][key] = float(choice)

    return Knob(name, own, turn, tuple(dict.fromkeys([own, *(f"{other:g}" for other in others)])))


def _dropout(recipe: Recipe) -> Knob | None:
    shared = recipe.network.shared
    if not shared or shared.dropout > MOST_DROPOUT:
        return None

    def turn(values: Values, dropout: float) -> None:
        network = values["network"]
        (network.get("backbone") or network["trunk"])["dropout"] = dropout

    return Knob("dropout", shared.dropout, turn, high=MOST_DROPOUT)


def _augment(recipe: Recipe) -> Knob:
    """All changes to training images times one number: the recipe's own, or such as leave every label true."""
    augment = recipe.training.augment
    own = {key: value for key in STRENGTHS if (value := getattr(augment, key))}
    if augment.policy == "none":
        own.pop("policy_strength")
    has_own = bool(own) or augment.crop < 1
    usual, _ = choose_augment(recipe.tasks)
    base = own if has_own else {key: float(value) for key, value in usual.items() if key in STRENGTHS}

    def turn(values: Values, strength: float) -> None:
        changed = {key: min(value * strength, STRENGTHS[key]) for key, value in base.items()}
        if "policy_strength" in changed:
            changed["policy_strength"] = max(changed["policy_strength"], LEAST_STRENGTH)
        if augment.crop < 1:
            changed["crop"] = max(1 - (1 - augment.crop) * strength, LEAST_CROP)
        values["training"]["augment"] |= changed

    return Knob("augmentation", 1.0 if has_own else 0.0, turn, high=MOST_STRENGTH)


def _mix(recipe: Recipe) -> Knob:
    """Whether training images are mixed, and how."""
    own = next((name for name, values in MIXES.items() if recipe.training.mix == Mix(**values)), "the recipe's own")

    def turn(values: Values, choice: str) -> None:
        values["training"]["mix"] = dict(MIXES[choice])

    return _keep_valid(recipe, Knob("mix", own, turn, tuple(dict.fromkeys([own, *MIXES]))))
