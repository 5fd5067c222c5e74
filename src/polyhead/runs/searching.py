"""A search while it goes on: which trial is next, where it is trained, what comes of it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from polyhead.errors import PolyheadError
from polyhead.progress import SILENT, Progress
from polyhead.recipe.own_parts import find_import_folders
from polyhead.report.words import show_value
from polyhead.runs.search_page import describe_trials, write_search_page
from polyhead.runs.space import list_knobs
from polyhead.runs.trials import Outcome, Search, Watch, open_study, run_trial
from polyhead.training import choose_backend

if TYPE_CHECKING:
    import optuna

Engine = Literal["process", "ray"]
SECONDS = "seconds"  # that a search has taken so far, among what Optuna's study keeps
RANDOM_TRIALS = 6  # whose values are drawn at random, before any are proposed


@dataclass(frozen=True)
class Limits:
    """When a search is over: after so many seconds in all, and so many trials, if that is given."""

    seconds: float
    trials: int | None
    engine: Engine


class Searching:
    """A search while it goes on."""

    def __init__(self, search: Search, limits: Limits, begun: float, progress: Progress) -> None:
        self.search, self.limits, self.progress = search, limits, progress
        self.recipe = search.load_start()
        self.knobs = list_knobs(self.recipe)
        _cut_last_line(search.journal)
        self.study = open_study(search, self.recipe)
        self._before = float(self.study.user_attrs.get(SECONDS, 0.0))
        self._begun = begun  # by `time.monotonic`
        # None of them is being trained: this process has the search's lock.
        self.left = [trial.number + 1 for trial in self.study.trials if trial.state.name == "RUNNING"]

    @property
    def deadline(self) -> float:
        """By `time.monotonic`."""
        return self._begun + self.limits.seconds - self._before

    def run(self) -> None:
        """Search until it is over.

        Raises:
            PolyheadError: no trial was over by then.
        """
        if not self.study.trials:
            self.study.enqueue_trial({knob.name: knob.start for knob in self.knobs})
        if self.limits.engine == "ray":
            self._run_on_ray()
        else:
            self._run_here()
        self.note_time()
        if not self.search.recipe.exists():
            epochs = self.recipe.training.epochs
            raise PolyheadError(
                f"{self.search.path}: no trial was over in {self.limits.seconds / 60:g} minutes; go on with more "
                f"`minutes`, or search anew with fewer than {epochs} training.epochs"
            )

    def _run_here(self) -> None:
        while number := self.next_trial():
            self.progress.say(f"trial {number}: {self.tell_values(number)}")
            outcome = run_trial(self.search, number, Watch(self.deadline, self.progress, self.note_time))
            self.settle(number, outcome)

    def _run_on_ray(self) -> None:
        from polyhead.prediction.ray_engine import start_ray

        start_ray("a search on a cluster")
        import ray

        resources, most = _share_cluster()
        worker = ray.remote(**resources)(_run_in_worker)
        folders, running = find_import_folders(self.recipe), dict[Any, int]()
        while True:
            while len(running) < most and (number := self.next_trial()):
                self.progress.say(f"trial {number}: {self.tell_values(number)}")
                seconds = self.deadline - time.monotonic()
                running[worker.remote(os.path.abspath(self.search.path), number, seconds, folders)] = number
            if not running:
                return
            for done in ray.wait(list(running), timeout=10)[0]:
                self.settle(running.pop(done), ray.get(done))
            self.note_time()

    def next_trial(self) -> int | None:
        """The number of the trial to train next, with values: one that was stopped, or a new one; None at the end."""
        if time.monotonic() >= self.deadline:
            return None
        if self.left:
            number: int = self.left.pop(0)
        else:
            trials = [trial for trial in self.study.trials if trial.state.name != "WAITING"]
            if self.limits.trials is not None and len(trials) >= self.limits.trials:
                return None
            if time.monotonic() + self._find_shortest() >= self.deadline:
                return None
            number = len(trials) + 1
            self.study.ask()
        trial = self._find(number)
        for index, knob in enumerate(self.knobs):
            self.study.sampler = _sampler(self.recipe.seed, number, index)
            knob.suggest(trial)
        return number

    def _find_shortest(self) -> float:
        """The seconds of the shortest trial that is complete: what a new one takes at least; 0 where none is."""
        rows = describe_trials(self.search, self.study)
        return min((float(row["seconds"]) for row in rows if row["state"] == "complete"), default=0.0)

    def _find(self, number: int) -> "optuna.Trial":
        import optuna

        return optuna.Trial(self.study, self.study.trials[number - 1]._trial_id)

    def tell_values(self, number: int) -> str:
        """What a trial takes, in words."""
        return ", ".join(f"{name} {show_value(value)}" for name, value in self.study.trials[number - 1].params.items())

    def settle(self, number: int, outcome: Outcome) -> None:
        """Write down what became of a trial, and renew the page and the best recipe."""
        import optuna

        if outcome.state == "stopped":
            return
        if outcome.state == "unusable":
            raise PolyheadError(outcome.why)
        states = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
        trial = self._find(number)
        if outcome.why:
            trial.set_user_attr("why", outcome.why)
        score = outcome.score if outcome.state == "complete" else None
        self.study.tell(number - 1, score, optuna.trial.TrialState[states[outcome.state]])
        words = f"score {score:.4f}" if score is not None else outcome.why or "others were better by then"
        self.progress.say(f"trial {number}: {outcome.state}: {words}")
        self.note_time()
        write_search_page(self.search, self.study, self.recipe)

    def note_time(self) -> None:
        """Remember how long the search has taken, so that one that is gone on with ends in time."""
        self.study.set_user_attr(SECONDS, round(self._before + time.monotonic() - self._begun, 1))


def _run_in_worker(path: str, number: int, seconds: float, folders: list[str]) -> Outcome:
    """A trial in a process of Ray's."""
    from polyhead.processes import search_last

    choose_backend()
    search_last(folders)
    return run_trial(Search(Path(path)), number, Watch(time.monotonic() + seconds, SILENT))


def _share_cluster() -> tuple[dict[str, Any], int]:
    """What a trial takes of a cluster, and how many go on at once: one a GPU; without any, two a machine."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    if gpus:
        return {"num_gpus": 1}, gpus
    cores = max(1, int(min(node.get("CPU", 1) for node in nodes)) // 2)
    return {"num_cpus": cores}, sum(max(1, int(node.get("CPU", 1)) // cores) for node in nodes)


def _sampler(seed: int, number: int, index: int) -> Any:
    """Proposes a value of a trial; what it draws depends on these numbers and on what came of other trials alone."""
    import optuna

    drawn = int(np.random.SeedSequence((seed, number, index)).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=drawn, n_startup_trials=RANDOM_TRIALS, constant_liar=True)


def _cut_last_line(journal: Path) -> None:
    """Take out what a killed process has left of a line."""
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as file:
                file.truncate(whole)
