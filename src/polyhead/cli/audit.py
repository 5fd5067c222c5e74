"""The command that looks for wrong labels."""

from pathlib import Path
from typing import Annotated

import typer

from polyhead.cli.arguments import Force, Model, path_option
from polyhead.cli.terminal import Screen
from polyhead.cli.train import Data

TIES = 3  # that are printed

commands = typer.Typer()


@commands.command()
def audit(
    run: Model,
    out: Annotated[Path | None, path_option("--out", "The folder for the page, audit.json and suspects.csv.")] = None,
    data: Data = None,
    force: Force = False,
) -> None:
    """Find labels that are likely wrong.

    Also says which tasks are tied in the data, and how many images repeat.
    """
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
    if out:
        print(f"page  {out / 'index.html'}")
