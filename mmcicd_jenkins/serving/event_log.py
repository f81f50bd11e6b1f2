"""The server's log: one line per event, also for what libraries say; bounded.

A library's traceback becomes the name of its exception: what a client did wrong is no fault of the server, and
a hostile client must not be able to fill a disk or a reader's screen.
"""

import logging
import logging.handlers
import time
from pathlib import Path

from mmcicd_jenkins.release.desired import LOG

# Two files of a megabyte: about ten thousand events.
LOG_BYTES, LOG_FILES = 2**20, 1
LINE_LENGTH = 2000


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__})"
        line = " ".join(text.split())[:LINE_LENGTH]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        return f"{at} {record.process} {line}"


def open_log(root: Path) -> logging.Logger:
    """The server's own logger; warnings of all libraries go to the same file."""
    handler = logging.handlers.RotatingFileHandler(
        root / LOG, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
    )
    handler.setFormatter(_OneLine())
    logging.getLogger().addHandler(handler)
    # TensorFlow warns of its own old interfaces, which its servers use on purpose.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logger = logging.getLogger("mmcicd_jenkins.serving")
    logger.setLevel(logging.INFO)
    return logger
