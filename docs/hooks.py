"""What `mkdocs build` adds to the pages: the command reference, and links that lead out of this folder.

Pages link to other files of the repository as GitHub resolves them (`../benchmarks/README.md`), so that they can be
read there too; on the site such a link leads to GitHub. Pages of the repository's root (the changelog) are included
here, and their links to `docs/...` stay on the site.
"""

import re
from pathlib import Path
from posixpath import normpath
from typing import Any

from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

ROOT = Path(__file__).parent.parent
COMMANDS = "<!-- commands -->"
INCLUDE = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)]*)?\))")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Called by MkDocs for every page, with its text."""
    included = INCLUDE.search(markdown)
    if included:
        text = (ROOT / included[1]).read_text(encoding="utf-8")
        markdown = INCLUDE.sub(lambda _: lead_links(text, "", config.repo_url), markdown)
    folder = Path("docs", page.file.src_uri).parent.as_posix()
    return lead_links(markdown, folder, config.repo_url).replace(COMMANDS, describe_commands())


def lead_links(markdown: str, folder: str, repository: str) -> str:
    """Links of a text that stands in `folder` of the repository: into docs/ relative, elsewhere to GitHub."""

    def lead(found: re.Match[str]) -> str:
        target = normpath(f"{folder}/{found[2]}".lstrip("/"))
        if target.startswith("docs/") or not (ROOT / target).exists():
            return found[0] if folder else found[0].replace("](docs/", "](")
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{found[1]}{repository}/{kind}/main/{target}{found[3]}"

    return LINK.sub(lead, markdown)


def describe_commands() -> str:
    """Every command with its arguments and options, as `polyhead COMMAND --help` says it."""
    from polyhead.cli.app import app

    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=Context(command), name="polyhead")
    first = text.index("## ")  # what stands before is the list of commands, which the page has at its side
    return text[first:].replace("* `--help`: Show this message and exit.\n", "").replace("**Options**:\n\n\n", "")
