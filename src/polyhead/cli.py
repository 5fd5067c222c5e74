"""The command line: arguments in, one call of `workflow` each. The only file that prints or exits.

Data goes to stdout, words and progress to stderr. A user's mistake is one line and exit code 2. Every command imports
what it needs, so that `--help` and `recipes` answer at once.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from polyhead.errors import PolyheadError
from polyhead.screen import Screen

app = typer.Typer(
    name="polyhead",
    help="One image in, every answer out: train one network with many outputs, judge it honestly, ship one ONNX file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A built-in recipe, or a file.")]
Data = Annotated[Path | None, typer.Option("--data", help="The folder (or CSV) of the data; the recipe's, if absent.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Another seed than the recipe's.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Model = Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model.onnx.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Source = Annotated[str, typer.Argument(metavar="DIR_OR_CSV|RECIPE", help="Data, or a built-in recipe.")]
Split = Annotated[str, typer.Option("--split", help="train, valid, test, unseen; or all, for every image of --data.")]
METHOD_HELP = "kmeans, agglomerative, spectral, birch, dbscan, optics, hdbscan; several are compared."
Judgement = Annotated[Path | None, typer.Option("--out", help="Where to put evaluation.json and the report.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to put the data and the run.")] = Path("demo"),
    force: Force = False,
) -> None:
    """Draw a data set of garments, train on it, judge, report: the whole way in under two minutes."""
    from polyhead import workflow

    with Screen() as screen:
        run = workflow.demo(out, force=force, progress=screen)
    _tell_run(run)


@app.command()
def recipes(
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
) -> None:
    """List the recipes inside."""
    if schema:
        from polyhead.recipe import Recipe

        print(json.dumps(Recipe.model_json_schema(), indent=2))
        return
    from polyhead.recipes import built_in_names, read_description

    names = built_in_names()
    for name in names:
        print(f"{name.ljust(max(map(len, names)))}  {read_description(name)}")


@app.command()
def init(
    source: Annotated[str, typer.Argument(metavar="DIR_OR_CSV|RECIPE", help="Data, or a built-in recipe.")],
) -> None:
    """Look at data and print a recipe that trains on it, or print a built-in recipe to edit."""
    from polyhead import workflow

    print(workflow.propose(source), end="")


@app.command()
def explore(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option("--out", help="Where to put the page.")],
    data: Data = None,
    settings: Settings = None,
    force: Force = False,
) -> None:
    """Show the data set: samples, distributions, missing labels, repeats, unreadable files."""
    from polyhead import workflow

    with Screen() as screen:
        page = workflow.explore(recipe, out, data=data, overrides=settings or (), force=force, progress=screen)
    print(page)


@app.command()
def train(
    recipe: RecipeName,
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")],
    data: Data = None,
    settings: Settings = None,
    seed: Seed = None,
    force: Force = False,
) -> None:
    """Train, export, judge on the test images, and write the report."""
    from polyhead import workflow

    with _resumable(out), Screen() as screen:
        run = workflow.train(recipe, out, data=data, overrides=settings or (), seed=seed, force=force, progress=screen)
    _tell_run(run)


@app.command()
def resume(run: Run, data: Data = None) -> None:
    """Go on with a run that was stopped, wherever it was."""
    from polyhead import workflow

    with _resumable(run), Screen() as screen:
        workflow.resume(run, data=data, progress=screen)
    _tell_run(run)


@app.command()
def evaluate(
    model: Model,
    data: Data = None,
    split: Annotated[
        str, typer.Option("--split", help="train, valid, test, unseen; or all, for every image.")
    ] = "test",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to put evaluation.json, predictions.csv, report/.")
    ] = None,
    force: Force = False,
) -> None:
    """Judge a model file on labelled images."""
    from polyhead import workflow

    with Screen() as screen:
        found = workflow.evaluate(model, data=data, split=split, out=out, force=force, progress=screen)
    _tell_evaluation(found)


@app.command()
def predict(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE|DIR|PATTERN|CSV...", help="Images; or what holds, matches or lists them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line an image.")] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write a CSV file; one that was begun is gone on with.")
    ] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file.")] = None,
    annotate: Annotated[
        Path | None, typer.Option("--annotate", metavar="DIR", help="Write each image with its answers drawn on.")
    ] = None,
    engine: Annotated[
        Literal["threads", "ray"], typer.Option("--engine", help="This machine's threads, or a Ray cluster.")
    ] = "threads",
    answers: Annotated[
        Path | None, typer.Option("--answers", metavar="QUESTION.csv", help="Answer FashionAI's question file instead.")
    ] = None,
    gallery: Annotated[
        Path | None, typer.Option("--gallery", metavar="DIR", help="Make a page to look through them instead.")
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
        from polyhead.clustering import predict_to_gallery

        with Screen() as screen:
            page, failed = predict_to_gallery(model, images, gallery, progress=screen)
        print(page)
    else:
        from polyhead.answering import Answering

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
    from polyhead.answering import answer_questions, answer_questions_to_csv

    failed = 0
    with Screen() as screen:
        if csv:
            return answer_questions_to_csv(model, question, csv, progress=screen)
        for row, answered in answer_questions(model, question, progress=screen):
            failed += not answered
            sys.stdout.buffer.write(row)
    return failed


def _print_records(records: Iterator[dict[str, Any]], as_json: bool, screen: Screen) -> int:
    from polyhead.use.records import tell_record

    if not as_json and sys.stdout.isatty():
        return screen.show_records(records)
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    failed = 0
    for record in records:
        failed += record["error"] is not None
        print(json.dumps(record, ensure_ascii=False) if as_json else tell_record(record))
    return failed


@app.command()
def serve(
    model: Model,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 lets other machines ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes one that is free.")] = 8000,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Of a request.")] = 20_000_000,
    max_pixels: Annotated[int, typer.Option("--max-pixels", min=1, help="Of an image.")] = 50_000_000,
    max_images: Annotated[int, typer.Option("--max-images", min=1, help="In a request.")] = 32,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that a request may take.")] = 30.0,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Requests under way at once; more get a 503.")] = 64,
) -> None:
    """Answer over HTTP, with a page to drop images on."""
    from polyhead import workflow
    from polyhead.use.server.limits import Limits

    limits = Limits(max_bytes, max_pixels, max_images, timeout, queue)
    with Screen() as screen:
        workflow.serve(model, host=host, port=port, limits=limits, progress=screen)


@app.command()
def cluster(
    model: Model,
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE|DIR|PATTERN|CSV...", help="Images; or what holds, matches, lists them."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to put the page, clusters.csv, clusters.json.")],
    task: Annotated[list[str] | None, typer.Option(metavar="TASK[=LABEL,...]", help="What to group by; all.")] = None,
    on: Annotated[str, typer.Option(metavar="WHAT", help="probabilities, answers or features.")] = "probabilities",
    method: Annotated[list[str] | None, typer.Option(metavar="NAME", help=METHOD_HELP)] = None,
    k: Annotated[str | None, typer.Option("--k", metavar="N|FROM..TO", help="How many groups; 2..20.")] = None,
    weight: Annotated[list[str] | None, typer.Option(metavar="rare|common|NAME=X", help="What counts more.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="[METHOD.]PARAMETER=VALUE", help="The method's parameters.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of whatever is random.")] = 0,
    force: Force = False,
) -> None:
    """Group images by the answers to them, and show what each group is."""
    from polyhead import clustering
    from polyhead.look.grouping import read_settings

    given = read_settings(settings or ())
    grouping = clustering.Grouping(task or (), on, method or (), k, weight or (), given, seed)
    with Screen() as screen:
        found = clustering.cluster(model, images, out, grouping, force=force, progress=screen)
    if found["comparison"]:
        print(found["comparison"]["why"])
    for group in found["groups"]:
        number = "noise" if group["noise"] else f"{group['group']:5}"
        print(f"{number}  {group['images']:6,} images  {group['name']}")
    print(f"page  {out / 'index.html'}")


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete them all.")] = False,
    path: Annotated[str, typer.Option("--path", help="Another cache folder than the user's own.")] = "auto",
) -> None:
    """Where decoded images are kept, and how much; or clear them."""
    from polyhead.data.cache import cache_root, clear_caches, list_caches

    root = cache_root(path)
    if clear:
        print(f"{clear_caches(root) / 1e6:.1f} MB freed in {root}")
        return
    entries = list_caches(root)
    for entry in entries:
        print(f"{entry.name}  {entry.images:,} images  {entry.bytes / 1e6:,.1f} MB")
    print(f"{sum(entry.bytes for entry in entries) / 1e6:,.1f} MB in {root}")


def _tell_run(run: Path) -> None:
    _tell_evaluation(json.loads((run / "evaluation.json").read_text(encoding="utf-8")))
    print(f"report  {run / 'report' / 'index.html'}")
    print(f"model   {run / 'model.onnx'}")


def _tell_evaluation(evaluation: dict[str, Any]) -> None:
    """The few figures that say most, each beside its baseline."""
    for split, found in evaluation.items():
        if split == "combinations":
            continue
        for name, task in found["tasks"].items():
            print(f"{split}  {name}: {_main_figures(task)}")
        joint = found["joint"]
        if joint["n"]:
            print(f"{split}  all correct: {joint['all_correct']:.3f} of {joint['n']} images")
        if joint.get("labels") and len(found["tasks"]) > 1:
            mean, baseline = joint["mean_accuracy"], joint["mean_accuracy_baseline"]
            print(f"{split}  mean accuracy: {mean:.3f} (baseline {baseline:.3f}) of {joint['labels']} labels")
    if "combinations" in evaluation:
        print("combinations  " + ", ".join(f"{key} {value:.3f}" for key, value in evaluation["combinations"].items()))


def _main_figures(task: dict[str, Any]) -> str:
    if not task["n"]:
        return "no labels"
    baseline = task["baseline"]
    words = [
        f"{name} {task[name]:.3f}" + (f" (baseline {baseline[name]:.3f})" if baseline.get(name) is not None else "")
        for name in ("accuracy", "macro_f1", "mae", "r2")
        if task.get(name) is not None
    ]
    return ", ".join(words)


@contextmanager
def _resumable(run: Path) -> Iterator[None]:
    """Say how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        if (run / "recipe.yaml").exists():
            print(f"polyhead: stopped; to go on: polyhead resume {run}", file=sys.stderr)
        raise


def main() -> None:
    """Run the command line."""
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata in images that it reads all the same
    try:
        app()
    except PolyheadError as error:
        print(f"polyhead: {error}", file=sys.stderr)
        sys.exit(2)
