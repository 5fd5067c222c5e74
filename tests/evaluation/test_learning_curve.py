"""What a curve over the number of training images says, on features that are drawn."""

import json

import numpy as np
import pandas as pd
import pytest

from kinds import EXAMPLES
from polyhead.evaluation import learning_curve
from polyhead.evaluation.learning_curve import Seen, TooSlow, judge, limit_images, measure_learning_curve, order_rows
from polyhead.tasks import Categorical, Regression, Task


def draw(count: int, noise: float, seed: int, width: int = 60) -> Seen:
    """Two colours and a width, each told by many weak features, so that more images tell them better; some blank."""
    rng = np.random.default_rng(seed)
    red, wide = rng.integers(2, size=count), rng.normal(size=count)
    features = rng.normal(size=(count, width)) * noise
    features[:, : width // 2] += (2 * red - 1)[:, np.newaxis] / np.sqrt(width)
    features[:, width // 2 :] += wide[:, np.newaxis] / np.sqrt(width)
    colors = np.where(rng.random(count) < 0.1, "", np.array(["blue", "red"])[red])
    labels = pd.DataFrame({"color": colors, "width": [f"{10 + number:.3f}" for number in wide]}, dtype=object)
    return Seen(labels.assign(content=[f"{seed} {row}" for row in range(count)]), features.astype(np.float32))


def learn(seen: Seen) -> dict[str, Task]:
    tasks: dict[str, Task] = {"color": Categorical(), "width": Regression(unit="cm")}
    return {name: task.fit(name, seen.labels[name].tolist()) for name, task in tasks.items()}


def test_weak_features_climb_and_those_that_tell_all_are_flat() -> None:
    weak, strong = ((draw(800, noise, 0), draw(1500, noise, 1)) for noise in (0.7, 0.01))
    climbing = measure_learning_curve(learn(weak[0]), *weak, seed=0)
    assert climbing["tasks"]["color"]["verdict"] == "climbing"
    assert measure_learning_curve(learn(strong[0]), *strong, seed=0)["tasks"]["color"]["verdict"] == "flat"
    perfect = draw(400, 0, 0), draw(200, 0, 1)  # of which nothing is wrong, however wide that interval is
    assert measure_learning_curve(learn(perfect[0]), *perfect, seed=0)["tasks"]["color"]["verdict"] == "flat"
    color = climbing["tasks"]["color"]
    assert [round(point["images"] / 100) for point in color["points"]] == [1, 2, 4, 7]  # a tenth is not labelled
    assert [len(point["parts"]) for point in color["points"]] == [4, 4, 2, 1]
    accuracies = [point["accuracy"] for point in color["points"]]
    assert color["gain"] == pytest.approx(accuracies[-1] - accuracies[-2])
    assert color["interval"][0] < color["gain"] < color["interval"][1]
    for point in color["points"]:
        low, high = point["intervals"]["accuracy"]
        assert low < point["accuracy"] < high
        assert point["accuracy"] == pytest.approx(np.mean(point["parts"]))
    assert 0 < color["next"] < color["gain"]
    assert climbing["tasks"]["width"]["metric"] == "mae"
    assert json.loads(json.dumps(climbing)) == climbing


def test_it_is_the_same_every_time_and_foretells_what_twice_as_many_images_give() -> None:
    train, valid = draw(1600, 0.7, 2), draw(3000, 0.7, 3)
    half = Seen(train.labels[:800], train.features[:800])
    found, again, later = (
        measure_learning_curve(learn(part), part, valid, seed=0)["tasks"]["color"] for part in (half, half, train)
    )
    assert found == again
    came = later["points"][-1]["accuracy"] - found["points"][-1]["accuracy"]
    assert came == pytest.approx(found["next"], abs=0.02)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_kind_has_a_curve(kind: str) -> None:
    example = EXAMPLES[kind]
    rng = np.random.default_rng(0)
    parts = []
    for count in (len(example.labels) * 20, len(example.labels) * 16):
        labels = pd.DataFrame({"task": (example.labels * count)[:count]}, dtype=object)
        places = np.array([example.labels.index(label) for label in labels["task"]])
        features = rng.normal(size=(count, 8)) + places[:, np.newaxis]
        parts.append(Seen(labels.assign(content=[str(row) for row in range(count)]), features))
    tasks = {"task": example.task.fit("task", example.labels)}
    found = measure_learning_curve(tasks, parts[0], parts[1], seed=0)["tasks"]["task"]
    assert found["verdict"] in ("climbing", "flat", "unclear")
    assert found["points"][-1]["images"] == sum(bool(label) for label in parts[0].labels["task"])
    assert all(np.isfinite(point[found["metric"]]) for point in found["points"])


def test_parts_are_nested_disjoint_even_and_keep_groups_together() -> None:
    seen = draw(400, 1, 0)
    labels = seen.labels.assign(content=[str(row // 2) for row in range(400)])
    places = order_rows(learn(seen), labels, seed=0)
    assert (places[0::2] == places[1::2]).all()  # two images of one content
    eighths, halves = (
        [set(np.flatnonzero(places % share == number).tolist()) for number in range(share)] for share in (8, 2)
    )
    assert sum(map(len, eighths)) == 400
    assert all(part <= halves[number % 2] for number, part in enumerate(eighths))
    whole = np.mean(seen.labels["color"] == "red")
    for part in eighths:
        assert len(part) == 50
        assert np.mean(seen.labels["color"].iloc[sorted(part)] == "red") == pytest.approx(whole, abs=0.2)


def test_too_few_images_are_said_to_be_too_few() -> None:
    train, valid = draw(300, 1, 0), draw(100, 1, 1)
    few = Seen(train.labels[:30], train.features[:30])
    assert measure_learning_curve(learn(train), few, valid, seed=0)["missing"].startswith(
        "30 training and 100 validation images are too few for a learning curve"
    )
    blank = train.labels.assign(color=["red", *[""] * 298, "blue"])
    tasks: dict[str, Task] = {"color": Categorical().fit("color", blank["color"].tolist())}
    found = measure_learning_curve(tasks, Seen(blank, train.features), valid, seed=0)["tasks"]["color"]
    assert (found["verdict"], found["points"]) == ("too few", [])
    tasks = learn(train)
    judged = Seen(valid.labels[:20], valid.features[:20])
    assert measure_learning_curve(tasks, train, judged, seed=0)["tasks"]["width"]["verdict"] == "too few"
    unknown = Seen(valid.labels.assign(color=""), valid.features)
    assert measure_learning_curve(tasks, train, unknown, seed=0)["tasks"]["color"]["verdict"] == "too few"


def test_what_takes_too_long_says_how_much_there_is_time_for() -> None:
    train, valid = draw(300, 1, 0), draw(100, 1, 1)
    with pytest.raises(TooSlow) as raised:
        measure_learning_curve(learn(train), train, valid, seed=0, seconds=1e-9)
    assert 0 <= raised.value.fraction < 1


def test_what_a_curve_costs_is_bounded() -> None:
    tasks = learn(draw(300, 1, 0))
    assert limit_images(tasks, 300, 100) == (300, 100)
    assert limit_images(tasks, 10**6, 10**5) == (learning_curve.MOST, learning_curve.JUDGED)
    names = [f"kind {number}" for number in range(200)]
    many: dict[str, Task] = {"kind": Categorical().fit("kind", names)}
    assert limit_images(many, 10**6, 100) == (learning_curve.WORK // 200, 100)


@pytest.mark.parametrize(
    ("interval", "errors", "metric", "verdict"),
    [
        ((0.01, 0.03), 0.1, "accuracy", "climbing"),
        ((-0.01, 0.03), 0.1, "accuracy", "unclear"),
        ((-0.01, 0.009), 0.1, "accuracy", "flat"),  # less than a tenth of the mistakes
        ((0.001, 0.009), 0.1, "accuracy", "flat"),
        ((0.001, 0.004), 0.01, "accuracy", "flat"),  # less than half a point
        ((0.005, 0.02), 0.5, "accuracy", "climbing"),  # more than a point, though not of many mistakes
        ((0.1, 0.4), 5.0, "mae", "climbing"),
        ((-0.1, 0.2), 5.0, "mae", "flat"),
    ],
)
def test_whether_more_images_would_help(
    interval: tuple[float, float], errors: float, metric: str, verdict: str
) -> None:
    assert judge(interval, errors, metric) == verdict
