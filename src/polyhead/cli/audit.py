"""The command that looks for wrong labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from polyhead.cli.arguments import Force, Model, path_option
from polyhead.cli.terminal import Screen
from polyhead.cli.train import Data

TIES = 3  # that are printed
SHORTCUTS = 3

if TYPE_CHECKING:
    from polyhead.runs.audit import Audit

commands = typer.Typer()


@commands.command()
def audit(
    run: Model,
    out: Annotated[Path | None, path_option("--out", "The folder for the page, audit.json and suspects.csv.")] = None,
    data: Data = None,
    force: Force = False,
) -> None:
    """Find labels that are likely wrong, and what else in the data misleads.

    Tied tasks, repeats across splits, images unlike all others, and attributes of the files that tell a label.
    """
    from polyhead.evaluation.results import describe_broken
    from polyhead.runs import audit as runs

    with Screen() as screen:
        found = runs.audit(run, out, data=data, force=force, progress=screen)
    print(found["answers"])
    for name, task in found["tasks"].items():
        share = (
            "no labels" if task["share"] is None else f"about {100 * task['share']:.1f} % of {task['known']:,} labels"
        )
        suspects = f"{task['suspects']:,} {'suspect' if task['suspects'] == 1 else 'suspects'}"
        print(f"{name}: {suspects}; likely wrong: {share}")
    ties = [tie["words"] for tie in found["ties"] if tie["strong"]]
    for words in ties[:TIES]:
        print(words)
    if len(ties) > TIES:
        print(f"{len(ties) - TIES} more pairs of tasks are tied less strongly")
    repeats = found["repeats"]
    if repeats["groups"]:
        print(
            f"{repeats['groups']:,} images are there more than once: {repeats['differ']:,} with different labels, "
            f"{repeats['across']:,} in more than one split"
        )
    for rule in found["rules"]:
        print(describe_broken(cast(dict[str, Any], rule), "labelled images"))
    _print_images(found)
    if out:
        print(f"page  {out / 'index.html'}")


def _print_images(found: "Audit") -> None:
    """A line for each sort of finding about the images."""
    for words, counts in (
        ("near repeats of training images", found["near_repeats"]["counts"]),
        ("of these, mirror images of a training image", found["near_repeats"]["mirrored"]),
    ):
        if any(counts.values()):
            print(f"{words}: " + ", ".join(f"{count:,} of {split}" for split, count in counts.items() if count))
    for split, figures in found["near_repeats"]["figures"].items():
        accuracies = [
            f"{name} {both['accuracy'][0]:.3f} -> {both['accuracy'][1]:.3f}"
            for name, both in figures["tasks"].items()
            if None not in both.get("accuracy", [None])
        ]
        if accuracies:
            print(f"{split} accuracy without them: " + ", ".join(accuracies))
    if unlike := found["unlike"]:
        print(
            f"unlike all others: {len(unlike):,} {'image' if len(unlike) == 1 else 'images'}, {unlike[0]['image']} most"
        )
    for shortcut in found["shortcuts"][:SHORTCUTS]:
        print(f"shortcut? {shortcut['words']}")
    if len(found["shortcuts"]) > SHORTCUTS:
        print(f"{len(found['shortcuts']) - SHORTCUTS} more attributes of the files tell a label")
