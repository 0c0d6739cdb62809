"""Checks of a connector's arguments, and that its framework is installed."""

from __future__ import annotations

import importlib.util
import sys
from typing import NamedTuple

from .._arguments import check_flag, check_kind, shown
from ..handlers.register import EventRegister

__all__ = ["Plug"]


class Plug(NamedTuple):
    """A connector's requirements.

    Attributes:
        connector: the connector's name.
        module: the framework's module.
        extra: the extra of zaptools that installs it.
        name: the name of the argument for the framework's object.
        what: a description of that object, for the error.
        needed: the attributes that it must have.
    """

    connector: str
    module: str
    extra: str
    name: str
    what: str
    needed: tuple[str, ...]

    def check(
        self, register: object, given: object, connection_id: object, omit_empty_headers: object
    ) -> None:
        """Check the arguments common to all connectors; `given` is the framework's object.

        Raises:
            ModuleNotFoundError: `given` is none, and the framework is not installed.
            TypeError: an argument is of a wrong type.
        """
        cure = f"it comes first, then {self.name}"
        check_kind(register, EventRegister, "register", cure)
        if not all(hasattr(given, attribute) for attribute in self.needed):
            self.check_installed()
            raise TypeError(f"{self.name} must be {self.what}, not {shown(given)}")
        check_kind(connection_id, str, "connection_id", none=True)
        check_flag(omit_empty_headers, "omit_empty_headers")

    def check_installed(self) -> None:
        """Raise ModuleNotFoundError, with what to install, unless the framework is installed."""
        if sys.modules.get(self.module) is None and importlib.util.find_spec(self.module) is None:
            text = f"{self.connector} needs {self.module}: pip install 'zaptools[{self.extra}]'"
            raise ModuleNotFoundError(text, name=self.module)
