"""Serve a model file over HTTP."""

from collections.abc import Iterable
from pathlib import Path

from polyhead.errors import show_text
from polyhead.folders import restore_replaced
from polyhead.model.predictor import Predictor
from polyhead.progress import SILENT, Progress
from polyhead.run_folder import RunFolder
from polyhead.server.app import create_app
from polyhead.server.browsers import name_hosts
from polyhead.server.limits import Limits
from polyhead.server.listening import listen

EXAMPLES = 8  # images that the page offers as examples


def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_hosts: Iterable[str] = (),
    limits: Limits | None = None,
    progress: Progress = SILENT,
) -> None:
    """Serve predictions over HTTP, with a page, until SIGTERM or Ctrl-C.

    Args:
        model: a run folder, some of whose test images the page offers as examples; or a model file.
        host: where to listen; by default only to this machine.
        port: 0 for any free one.
        allow_hosts: names that it answers to besides `host`, localhost and IP addresses; `*` for any.
        limits: of requests; by default those of `Limits`.

    Raises:
        PolyheadError: the model cannot be opened, the address is not available, or a limit or a name is invalid.
    """
    limits = limits or Limits()
    hosts = name_hosts(host, allow_hosts)
    restore_replaced(Path(model), progress)
    predictor = Predictor(model)
    examples = RunFolder(Path(model)).find_examples(EXAMPLES) if Path(model).is_dir() else []
    app = create_app(predictor, limits, examples, hosts)
    name = show_text(predictor.card.name)
    listen(app, (host, port), limits, lambda url: progress.say(f"{name} answers at {url}"))
