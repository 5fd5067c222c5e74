"""The commands that use a model file. As `cli.py` says: arguments in, one call each."""

import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polyhead.cli.arguments import images_argument, path_option, read_new_file, read_path
from polyhead.cli.terminal import Screen
from polyhead.errors import PolyheadError, show_text

if TYPE_CHECKING:
    from polyhead.model.records import Record

commands = typer.Typer()

Model = Annotated[Path, typer.Argument(metavar="RUN|MODEL", parser=read_path, help="A run folder, or a model.onnx.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
METHOD_HELP = "kmeans, agglomerative, spectral, birch, dbscan, optics, hdbscan; several are compared."


@commands.command()
def predict(
    model: Model,
    images: Annotated[
        list[str] | None,
        images_argument("Images; or what holds, matches or lists them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line an image.")] = False,
    csv: Annotated[
        Path | None,
        path_option("--csv", "Write a CSV file; one that was begun is gone on with.", "FILE", read_new_file),
    ] = None,
    parquet: Annotated[Path | None, path_option("--parquet", "Write a Parquet file.", "FILE", read_new_file)] = None,
    annotate: Annotated[
        Path | None,
        path_option("--annotate", "Write each image with its answers drawn on.", "DIR"),
    ] = None,
    engine: Annotated[
        Literal["threads", "ray"], typer.Option("--engine", help="This machine's threads, or a Ray cluster.")
    ] = "threads",
    answers: Annotated[
        Path | None,
        path_option("--answers", "Answer FashionAI's question file instead.", "QUESTION.csv"),
    ] = None,
    gallery: Annotated[
        Path | None,
        path_option("--gallery", "Make a page to look through them instead.", "DIR"),
    ] = None,
) -> None:
    """Answer for images. Ends in 1 where some images could not be answered."""
    if answers:
        if images or as_json or parquet or annotate or gallery:
            raise PolyheadError("predict: --answers goes with --csv alone, and without images")
        failed = _answer_questions(model, answers, csv)
    elif not images or as_json + bool(csv) + bool(parquet) + bool(gallery) > 1:
        raise PolyheadError(
            "predict: give images, folders, patterns or CSV files; and one of --json, --csv, --parquet, --gallery"
        )
    elif gallery:
        if annotate or engine != "threads":
            raise PolyheadError("predict: --gallery goes without --annotate and --engine")
        from polyhead.clustering.cluster import predict_to_gallery

        with Screen() as screen:
            page, failed = predict_to_gallery(model, images, gallery, progress=screen)
        print(page)
    else:
        from polyhead.prediction.answering import Answering

        with Screen() as screen:
            job = Answering(model, images, annotate=annotate, engine=engine, progress=screen)
            if csv:
                failed = job.to_csv(csv)
            elif parquet:
                failed = job.to_parquet(parquet)
            else:
                failed = _print_records(job.records(), as_json, screen)
    if failed:
        print(f"polyhead: {failed} of the images could not be answered", file=sys.stderr)
        raise typer.Exit(1)


def _answer_questions(model: Path, question: Path, csv: Path | None) -> int:
    from polyhead.prediction.answering import answer_questions, answer_questions_to_csv

    failed = 0
    with Screen() as screen:
        if csv:
            return answer_questions_to_csv(model, question, csv, progress=screen)
        for row, answered in answer_questions(model, question, progress=screen):
            failed += not answered
            sys.stdout.buffer.write(row)
    return failed


def _print_records(records: "Iterator[Record]", as_json: bool, screen: Screen) -> int:
    from polyhead.model.records import tell_record, write_json

    if not as_json and sys.stdout.isatty():
        return screen.show_records(records)
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal may lack letters
        sys.stdout.reconfigure(errors="backslashreplace")
    failed = 0
    for record in records:
        failed += record.error is not None
        print(write_json(record) if as_json else tell_record(record))
    return failed


@commands.command()
def export(
    model: Model,
    kind: Annotated[
        Literal["litert", "saved_model", "openvino", "onnx-int8"], typer.Option("--format", help="What to write.")
    ],
    images: Annotated[
        list[str] | None,
        images_argument("What to try it on, instead of the run's."),
    ] = None,
    data: Annotated[
        Path | None,
        path_option("--data", "The labelled images, if they were moved."),
    ] = None,
    out: Annotated[
        Path | None,
        path_option("--out", "Where to write it; beside the model, if absent."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a model for another runtime, and tell how far its answers are from the original's."""
    from polyhead.runs.export import export as write_other

    with Screen() as screen:
        found = write_other(model, kind, images or (), data=data, out=out, force=force, progress=screen)
    for name, task in found["tasks"].items():
        print(f"{show_text(name)}: {_tell_comparison(task)}")
    over = f"{found['images']:,} images"
    print(f"outputs differ by at most {found['difference']:.1e} of an output's largest value, over {over}")
    print(f"{found['path']}  {found['bytes'] / 1e6:.2f} MB (the model: {found['original_bytes'] / 1e6:.2f} MB)")


def _tell_comparison(task: dict[str, Any]) -> str:
    said = [f"differs by at most {task['difference']:.2g}"]
    if task["same"] is not None:
        said.append(f"same answer for {100 * task['same']:.2f} %")
    said += [
        f"{name} {was:.3f} -> {now:.3f} ({round(now - was, 3) + 0:+.3f})"
        for name, (was, now) in task["figures"].items()
    ]
    return ", ".join(said)


@commands.command()
def serve(
    model: Model,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")] = 8000,
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that browsers reach it by; may be repeated."),
    ] = None,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Of a request.")] = 20_000_000,
    max_pixels: Annotated[int, typer.Option("--max-pixels", min=1, help="Of an image.")] = 50_000_000,
    max_images: Annotated[int, typer.Option("--max-images", min=1, help="In a request.")] = 32,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds that a request may take to arrive, or its answer.")
    ] = 30.0,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Requests under way at once; more get a 503.")] = 64,
) -> None:
    """Answer over HTTP, with a page to drop images on."""
    from polyhead.server.limits import Limits
    from polyhead.server.serve import serve as serve_model

    limits = Limits(max_bytes, max_pixels, max_images, timeout, queue)
    with Screen() as screen:
        serve_model(model, host=host, port=port, allow_hosts=allow_hosts or (), limits=limits, progress=screen)


@commands.command()
def cluster(
    model: Model,
    images: Annotated[
        list[str],
        images_argument("Images; or what holds, matches, lists them."),
    ],
    out: Annotated[
        Path,
        path_option("--out", "Where to put the page, clusters.csv, clusters.json."),
    ],
    tasks: Annotated[
        list[str] | None, typer.Option("--task", metavar="TASK[=LABEL,...]", help="What to group by; all.")
    ] = None,
    on: Annotated[str, typer.Option(metavar="WHAT", help="probabilities, answers or features.")] = "probabilities",
    methods: Annotated[list[str] | None, typer.Option("--method", metavar="NAME", help=METHOD_HELP)] = None,
    k: Annotated[str | None, typer.Option("--k", metavar="N|FROM..TO", help="How many groups; 2..20.")] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weight", metavar="rare|common|NAME=X", help="What counts more.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="[METHOD.]PARAMETER=VALUE", help="The method's parameters.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of whatever is random.")] = 0,
    force: Force = False,
) -> None:
    """Group images by the answers to them, and show what each group is."""
    from polyhead.clustering import cluster as clustering
    from polyhead.clustering.grouping import Grouping, read_settings

    given = read_settings(settings or ())
    grouping = Grouping(tasks or (), on, methods or (), k, weights or (), given, seed)
    with Screen() as screen:
        found = clustering.cluster(model, images, out, grouping, force=force, progress=screen)
    if found["comparison"]:
        print(found["comparison"]["why"])
    for group in found["groups"]:
        number = "noise" if group["noise"] else f"{group['group']:5}"
        print(f"{number}  {group['images']:6,} images  {show_text(group['name'])}")
    print(f"page  {out / 'index.html'}")
