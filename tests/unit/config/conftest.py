"""A checkout in a temporary folder, with a configuration and the files it names."""

from collections.abc import Callable
from pathlib import Path

import pytest

FILES = Path(__file__).parent / "files"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write `mmcicd.yaml` and empty files beside it; returns the root."""

    def put(text: str | bytes, *beside: str) -> Path:
        root = tmp_path / "checkout"
        root.mkdir(exist_ok=True)
        content = text.encode() if isinstance(text, str) else text
        (root / "mmcicd.yaml").write_bytes(content)
        for name in beside:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return root

    return put


@pytest.fixture
def churn(write: Write) -> Path:
    """The ML engineer's whole file."""
    return write((FILES / "churn.yaml").read_text(), "train.py")


@pytest.fixture
def platform(write: Write) -> Path:
    """The platform engineer's complete file."""
    return write(
        (FILES / "platform.yaml").read_text(),
        "models/fraud/transactions.schema.yaml",
        "models/fraud/requirements.lock",
        "models/receipts/train.sh",
    )
