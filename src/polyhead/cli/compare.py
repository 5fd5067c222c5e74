"""The command that says which of several models is better."""

from pathlib import Path
from typing import Annotated

import typer

from polyhead.cli.arguments import path_option, read_new_file, read_path
from polyhead.cli.terminal import Screen

commands = typer.Typer()


@commands.command()
def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|MODEL...", parser=read_path, help="Run folders or model files; the first is the one to beat."
        ),
    ],
    data: Annotated[
        Path | None,
        path_option("--data", "Labelled images; default: those in the split of every run.", "DIR|FILE|RECIPE"),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="train, valid, test, unseen or all; default: test of runs, else all.")
    ] = None,
    csv: Annotated[
        Path | None, path_option("--csv", "Write the changed answers of two models as CSV.", "FILE", read_new_file)
    ] = None,
) -> None:
    """Say which model is better at what, on the same images, and whether that may be chance."""
    from polyhead.errors import PolyheadError
    from polyhead.runs.compare import compare as compare_models

    if csv and len(models) != 2:
        raise PolyheadError(f"--csv: lists the changes between two models; got {len(models)}")
    with Screen() as screen:
        found = compare_models(*models, data=data, split=split, progress=screen)
    if csv:
        found[0].to_csv(csv)
    for comparison in found:
        print(comparison)
