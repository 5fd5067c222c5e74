"""How long a run may take: when its training must end, so that what comes behind it ends in time, too."""

import time
from dataclasses import dataclass, field

FINISHING = 30.0  # seconds from the last epoch to the report, without what grows with the number of images
ANSWERING = 0.4  # of a training step's time, that answering as many images takes


@dataclass
class TimeLimit:
    """What is left of the minutes of a run.

    Attributes:
        minutes: of the whole run, from its command to its report.
        answers: images that are answered behind the training.
        spent: seconds that it took before this process.
    """

    minutes: float
    answers: int = 0
    spent: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """The seconds that the run has taken so far."""
        return self.spent + time.monotonic() - self.started

    def left(self, image_seconds: float) -> float:
        """The seconds that are left for training.

        Args:
            image_seconds: that training takes an image.
        """
        return 60 * self.minutes - self.elapsed() - FINISHING - ANSWERING * image_seconds * self.answers

    def affordable(self, seconds: float, images: int) -> int:
        """How many epochs of so many seconds and images still fit."""
        return max(0, int(self.left(seconds / images) / seconds))
