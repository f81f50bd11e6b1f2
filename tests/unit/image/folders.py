"""Folders as values: a path to its bytes, or to None for an empty folder."""

from pathlib import Path

SAVED_MODEL = {
    "saved_model.pb": b"\x08\x01graph",
    "fingerprint.pb": b"print",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 300,
    "assets": None,
}


def write_folder(root: Path, content: dict[str, bytes | None]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for path, data in content.items():
        target = root / path
        if data is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    return root


def read_folder(root: Path) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        assert not path.is_symlink()
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = None
    return found
