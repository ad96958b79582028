"""Draws docs/fix.svg: the real output of `backtrail fix` on the example, as a terminal shows it.

`python docs/picture.py [OUTPUT]`. Needs the model extra; takes as long as `make demo`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
COMMAND = ("fix", "examples/readings")
WIDTH = 100


def main(target: Path) -> int:
    environ = {
        **os.environ,
        "VIRTUAL_ENV": sys.prefix,
        "COLUMNS": str(WIDTH),
        "FORCE_COLOR": "1",
        "TTY_INTERACTIVE": "0",  # colours, but none of the moving parts
    }
    done = subprocess.run(
        [sys.executable, "-m", "backtrail_server", *COMMAND],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    console = Console(record=True, width=WIDTH, file=Path(os.devnull).open("w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi(f"$ backtrail {' '.join(COMMAND)}\n\n{_tidy(done.stdout)}"))
    svg = console.export_svg(title="backtrail")
    # The picture must not fetch a font from elsewhere when it is looked at.
    target.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))
    return done.returncode


def _tidy(output: str) -> str:
    """The output without the folder that this machine happens to use."""
    return output.replace(f"{ROOT}{os.sep}", "").strip()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "fix.svg"))
