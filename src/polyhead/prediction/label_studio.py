"""Images and answers for Label Studio (https://labelstud.io): its tasks with predictions, and how to label them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from polyhead.errors import show_text
from polyhead.tasks import Answer, Task

LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves the files below its LOCAL_FILES_DOCUMENT_ROOT
NONE = "none"  # of several labels: none of them, which differs from not labelled


def describe_labelling(tasks: Mapping[str, Task]) -> str:
    """The labelling configuration, XML: a `Choices` or `Number` control a task, by the task's name."""
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    for name, task in tasks.items():
        unit = f" ({task.error_unit})" if task.numeric and task.error_unit else ""
        lines.append(f"  <Header value={quoteattr(name + unit)}/>")
        if task.numeric:
            lines.append(f'  <Number name={quoteattr(name)} toName="image"/>')
            continue
        many = "multiple" if task.several else "single"
        lines.append(f'  <Choices name={quoteattr(name)} toName="image" choice="{many}">')
        labels = [*task.names, NONE] if task.several else task.names
        lines += [f"    <Choice value={quoteattr(label)}/>" for label in labels]
        lines.append("  </Choices>")
    return "\n".join([*lines, "</View>", ""])


def list_tasks(
    tasks: Mapping[str, Task], images: Sequence[tuple[str, Mapping[str, Answer], float]], version: str
) -> str:
    """Label Studio's tasks, JSON, each with the answers as a prediction.

    Args:
        images: the path of each, its answers by task, and how sure they are (0 to 1).
        version: of the model.
    """
    listed = [
        {
            "data": {"image": LOCAL_FILES + quote(show_text(image)), "name": show_text(image)},
            "predictions": [
                {
                    "model_version": version,
                    "score": round(sure, 4),
                    "result": [_tell(name, task, answers[name]) for name, task in tasks.items()],
                }
            ],
        }
        for image, answers, sure in images
    ]
    return json.dumps(listed, ensure_ascii=False, indent=1) + "\n"


def _tell(name: str, task: Task, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"from_name": name, "to_name": "image"}
    if task.numeric:
        return found | {"type": "number", "value": {"number": answer.to_dict()["answer"]}}
    labels = list(answer.labels) or [NONE]
    return found | {"type": "choices", "value": {"choices": labels}}
