"""What is said of a data set before a network trains on it: a line for each sort of finding."""

from collections.abc import Mapping

from polyhead.data.inspect.ties import describe_tie, find_ties
from polyhead.data.splits import find_duplicates
from polyhead.data.table import Dataset
from polyhead.errors import PolyheadError
from polyhead.evaluation.results import describe_broken
from polyhead.evaluation.rules import count_in_labels
from polyhead.progress import Progress
from polyhead.tasks import Task


def remark_on_data(dataset: Dataset, progress: Progress) -> None:
    """Say which tasks are tied, and how many images are there twice with different labels; nothing where none are.

    Only labels and digests are looked at, so that it takes no time.
    """
    frame, tasks = dataset.table.frame, dataset.recipe.tasks
    ties = [tie for tie in find_ties(tasks, {name: frame[name].tolist() for name in tasks}) if tie.is_strong]
    if ties:
        # That a shirt is clothing is no news; that no shoe is red is.
        first = min(ties, key=lambda tie: (bool(tie.finer), not tie.empty, -tie.strength))
        more = f" ({len(ties) - 1} more pairs of tasks are tied)" if len(ties) > 1 else ""
        progress.say(f"{describe_tie(first, tasks)}{more}")
    # None is in two splits: reading the data has seen to that.
    labels = frame[list(tasks)].to_numpy(object)
    differ = sum(len({tuple(labels[row]) for row in group}) > 1 for group in find_duplicates(frame))
    if differ:
        images = "image is" if differ == 1 else "images are"
        progress.say(f"{differ:,} {images} there more than once, byte for byte, with different labels")


def remark_on_rules(dataset: Dataset, tasks: Mapping[str, Task], progress: Progress) -> None:
    """Say of each of the recipe's rules how many images' labels break it.

    Args:
        tasks: by name, as the training split taught them.

    Raises:
        PolyheadError: a rule is about a label that there is not, or the rules contradict each other.
    """
    recipe = dataset.recipe
    if not recipe.rules:
        return
    try:
        rules = recipe.check_rules(tasks)
    except ValueError as error:
        raise PolyheadError(str(error)) from None
    for found in count_in_labels(rules, tasks, dataset.table.frame):
        progress.say(describe_broken(found, "labelled images"))
