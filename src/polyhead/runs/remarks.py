"""What is said of a data set before a network trains on it: a line for each sort of finding."""

from polyhead.data.inspect.ties import describe_tie, find_ties
from polyhead.data.splits import find_duplicates
from polyhead.data.table import Dataset
from polyhead.progress import Progress


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
