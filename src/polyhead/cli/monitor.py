"""The command that says how far images are from those that a model was trained on."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from polyhead.cli.arguments import Model, images_argument, path_option
from polyhead.cli.terminal import Screen

commands = typer.Typer()


@commands.command()
def monitor(
    model: Model,
    images: Annotated[list[str], images_argument("Images; folders, patterns or label files of images.")],
    out: Annotated[Path | None, path_option("--out", "The folder for monitor.json and a page.", "DIR")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Say how far images and answers are from those of validation.

    No labels are needed. Exits with 1 if some images could not be read.
    """
    from polyhead.prediction.gather import gather_files
    from polyhead.runs.monitor import monitor as compare

    with Screen() as screen:
        files, _ = gather_files(images)
        found = compare(model, files, out=out, force=force, progress=screen)
    print(found)
    if out:
        print(out / "index.html")
    if found.unreadable:
        print(f"polyhead: {found.unreadable} of the images could not be read", file=sys.stderr)
        raise typer.Exit(1)
