"""The command that says which images to label next."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from polyhead.cli.arguments import Model, images_argument, path_option, read_new_file
from polyhead.cli.terminal import Screen
from polyhead.errors import show_text

commands = typer.Typer()


@commands.command()
def select(
    model: Model,
    images: Annotated[list[str], images_argument("Images; folders, patterns or label files of images.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many images to choose.")] = 100,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="TASK", help="A task whose uncertainty counts; repeatable; default: all."),
    ] = None,
    csv: Annotated[
        Path | None, path_option("--csv", "Write the list as a CSV file, too.", "FILE", read_new_file)
    ] = None,
    gallery: Annotated[Path | None, path_option("--gallery", "Write a page where they can be labelled.", "DIR")] = None,
    label_studio: Annotated[
        Path | None,
        path_option(
            "--label-studio", "Write tasks for Label Studio, and its configuration beside.", "FILE.json", read_new_file
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The random seed.")] = 0,
) -> None:
    """Choose which images to label next.

    Their answers are uncertain, and they are unlike one another. Exits with 1 if some images could not be read.
    """
    from polyhead.runs.select import select as choose

    with Screen() as screen:
        found = choose(model, images, n, tasks=tasks or (), seed=seed, progress=screen)
        for image, error in found.unreadable:
            screen.say(f"{show_text(image)}: {error}")
        if csv:
            found.to_csv(csv)
        if label_studio:
            found.to_label_studio(label_studio)
        if gallery:
            found.to_gallery(gallery, progress=screen)
    for selected in found.images:
        why = f"  {show_text(selected.task)} {selected.uncertainty:.2f}" if selected.task else ""
        print(f"{show_text(selected.image)}{why}")
    if found.unreadable:
        print(f"polyhead: {len(found.unreadable)} of the images could not be read", file=sys.stderr)
        raise typer.Exit(1)
