"""`ports.doctor.WebLook`: whether a data source is there. Reads no content."""

from collections.abc import Mapping

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.data.files import Source


class Web:
    """Services, asked for at most `seconds` between two bytes."""

    def __init__(self, variables: Mapping[str, str], seconds: float) -> None:
        self._variables = variables
        self._seconds = seconds

    def source(self, url: str) -> int:
        _, files = Source(url, login=login("data", self._variables)).files()
        return len(files)
