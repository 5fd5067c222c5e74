"""Fills in templates."""

from pathlib import Path
from typing import Any

from polyhead.errors import require
from polyhead.report.words import show_count, show_percent


def write_page(path: Path, template: str, context: dict[str, Any]) -> None:
    """Fill in `templates/TEMPLATE`; a name that the context lacks is an error."""
    require("a page", "report")
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # Labels and file names may hold anything: `autoescape` keeps them text, and so does `tojson` within a script.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": show_percent, "count": show_count}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    # File names need not be Unicode; what cannot be written is shown as `?`.
    path.write_bytes(environment.get_template(template).render(context).encode("utf-8", "replace"))
