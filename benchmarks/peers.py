"""A virtual environment of its own for each peer, made once: peers pin each other's libraries apart."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".venv-peers"


def peer(requirement: str) -> Path:
    """The `bin` folder of an environment that holds `requirement` (`name==version`), byte-compiled."""
    folder = FOLDER / requirement.replace("==", "-")
    done = folder / "done"
    if not done.exists():
        print(f"making an environment with {requirement}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--compile", requirement]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        done.touch()
    return folder / "bin"
