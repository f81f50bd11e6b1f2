"""The JSON Schema that editors complete `mmcicd.yaml` by: written where it is absent, as in a fresh clone, or older
than this program. Looking costs two stats; a folder that cannot be written is no reason to stop.
"""

import contextlib
import os
from pathlib import Path

from mmcicd_jenkins import config
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.stages.workspace import write_atomically

PLACE = ".mmcicd/schema.json"
# Stated, not imported: what it declares takes long to load.
DECLARED = Path(config.__file__).with_name("schema.py")


def bring(root: Path) -> None:
    file = root / PLACE
    with contextlib.suppress(OSError, OutsideFailed):
        if file.exists() and file.stat().st_mtime >= DECLARED.stat().st_mtime:
            return
        from mmcicd_jenkins.config.json_schema import schema_bytes

        content = schema_bytes()
        if file.exists() and file.read_bytes() == content:
            os.utime(file)
        else:
            write_atomically(file, content)
