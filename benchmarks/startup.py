"""Seconds until the command line has answered, the median of ten runs, and whether Keras was imported for it."""

import statistics
import subprocess
import sys
import time


def main() -> None:
    commands = [["--help"], ["recipes"]]
    if sys.argv[1:]:  # a model and an image
        commands.append(["predict", *sys.argv[1:]])
    for command in commands:
        seconds = []
        for _ in range(10):
            begun = time.monotonic()
            subprocess.run([sys.executable, "-m", "polyhead", *command], capture_output=True, check=True)
            seconds.append(time.monotonic() - begun)
        code = f"import sys; sys.argv = ['polyhead', *{command!r}]\ntry:\n import polyhead.cli; polyhead.cli.main()\n"
        code += "except SystemExit: pass\nsys.exit('keras' in sys.modules)"
        imported = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
        print(f"polyhead {command[0]:8} {statistics.median(seconds):.2f} s, Keras {'' if imported else 'not '}imported")


if __name__ == "__main__":
    main()
