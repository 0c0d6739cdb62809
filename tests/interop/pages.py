"""The data in a report's page, for tests."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any


def elements(text: str) -> dict[str, str]:
    """Return the JSON of each element that holds data, by the element's id."""
    found = re.findall(r'<script type="text/plain" id="(.*?)">(.*?)</script>', text)
    return {id: gzip.decompress(base64.b64decode(data)).decode() for id, data in found}


def data(text: str, id: str) -> Any:
    """Return the data of one element."""
    return json.loads(elements(text)[id])
