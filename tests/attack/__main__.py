"""`make attack`: run campaigns and print a table of them; ends in 1 where a case failed."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from attack.campaigns import CAMPAIGNS

SHOWN = 20  # failures of a campaign that are printed


def main() -> int:
    """Run what is asked for; how the process is to end."""
    parser = argparse.ArgumentParser(prog="attack", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, if absent: {', '.join(CAMPAIGNS)}")
    parser.add_argument("--cases", type=int, help="how many of each; the whole campaign, if absent")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    asked = parser.parse_args()
    rows, failed = [("campaign", "cases", "failures", "seconds")], 0
    for name in asked.names or CAMPAIGNS:
        if name not in CAMPAIGNS:
            parser.error(f"no campaign is called {name!r}; there are {', '.join(CAMPAIGNS)}")
        campaign = CAMPAIGNS[name]
        numbers = range(asked.first, asked.first + (asked.cases or campaign.cases))
        begun, failures = time.monotonic(), 0
        with tempfile.TemporaryDirectory(prefix="attack-") as folder:
            for failure in campaign.attack(numbers, Path(folder)):
                failures += 1
                if failures <= SHOWN:
                    print(f"{name} {failure}", file=sys.stderr, flush=True)
        rows.append((name, f"{len(numbers):,}", f"{failures:,}", f"{time.monotonic() - begun:.0f}"))
        failed += failures
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
