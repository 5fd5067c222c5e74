"""What a server counts of its answers, for Prometheus: by task and label, unsure, unfamiliar; within bounds."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from test_serving import GREEN, GREY, RED

from drawn_model import MARKS, write_model
from polyhead.fields import Plain
from polyhead.model.card import Card
from polyhead.model.familiarity import Familiarity
from polyhead.model.file import read_model_card, write_card
from polyhead.model.predictor import Predictor
from polyhead.server.app import create_app
from polyhead.server.metering import MOST_LABELS, MOST_SERIES, REST, AnswerMetrics
from polyhead.tasks import Categorical

Samples = dict[tuple[str, str, str], float]


def read(text: str) -> Samples:
    """Samples by name, task and label."""
    return {
        (sample.name, sample.labels.get("task", ""), sample.labels.get("label", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The drawn model, as if it had been trained on grey images."""
    path = write_model(tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    greys = rng.choice([0.1, 0.9], (100, 1)) + rng.normal(0, 0.01, (100, 3))
    write_card(path, read_model_card(path).model_copy(update={"familiarity": Familiarity.find(greys, greys)}))
    return path


def test_answers_are_counted_by_task_and_label(model: Path) -> None:
    with TestClient(create_app(Predictor(model))) as client:
        before = read(client.get("/metrics").text)
        assert {label for name, task, label in before if (name, task) == ("polyhead_answers_total", "marks")} == set(
            MARKS
        )
        assert before["polyhead_unfamiliar_images_total", "", ""] == 0
        files = [("images", (f"{number}.png", content)) for number, content in enumerate([RED, RED, GREEN, GREY])]
        records = client.post("/predict", files=[*files, ("images", ("broken.png", b"no image"))]).json()
        found = read(client.get("/metrics").text)
    assert found["polyhead_answers_total", "color", "red"] >= 2
    answers = [record["answers"] for record in records if not record["error"]]
    for label in ("red", "green", "blue"):
        said = sum(one["color"]["answer"] == label for one in answers)
        assert found["polyhead_answers_total", "color", label] == said
    for label in MARKS:
        assert found["polyhead_answers_total", "marks", label] == sum(
            label in one["marks"]["answer"] for one in answers
        )
    assert found["polyhead_unsure_answers_total", "color", ""] == sum(one["color"]["unsure"] for one in answers) > 0
    assert found["polyhead_numbers_count", "light", ""] == len(answers) == 4
    assert found["polyhead_numbers_sum", "light", ""] == pytest.approx(sum(one["light"]["answer"] for one in answers))
    assert found["polyhead_unfamiliar_images_total", "", ""] == sum(r.get("unfamiliar", False) for r in records) == 3
    assert found["polyhead_unfamiliarity_count", "", ""] == 4


def test_a_file_that_cannot_tell_has_no_series_of_unfamiliar_images(tmp_path: Path) -> None:
    with TestClient(create_app(Predictor(write_model(tmp_path / "model.onnx")))) as client:
        assert client.post("/predict", content=RED).status_code == 200
        found = read(client.get("/metrics").text)
    assert found["polyhead_answers_total", "color", "red"] == 1
    assert not [name for name, *_ in found if "unfamiliar" in name]


def test_many_labels_do_not_make_endless_series(tmp_path: Path) -> None:
    card = read_model_card(write_model(tmp_path / "model.onnx"))
    labels = [f"label {number}\n" for number in range(5000) for _ in range(1 + (number < 50))]
    task = Categorical().fit("many", labels)
    many: Card = card.model_copy(update={"tasks": {f"many {number}": task for number in range(20)}})
    registry = CollectorRegistry()
    metrics = AnswerMetrics(many, registry)
    answer: dict[str, Plain] = {"answer": "label 0\n", "unsure": False}
    metrics.count([{"image": None, "error": None, "answers": {"many 0": answer, "many 19": answer}}])
    metrics.count([{"image": None, "error": None, "answers": {"many 0": answer | {"answer": "label 4999\n"}}}])
    found = read(generate_latest(registry).decode())
    counted = [key for key in found if key[0] == "polyhead_answers_total"]
    assert len(counted) == MOST_SERIES + 20
    assert sum(task == "many 0" for _, task, _ in counted) == MOST_LABELS + 1
    assert found["polyhead_answers_total", "many 0", REST] == 1
    assert found["polyhead_answers_total", "many 19", REST] == 1
    assert found["polyhead_answers_total", "many 0", "label 0\\n"] == 1
