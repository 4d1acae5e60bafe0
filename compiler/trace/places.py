"""Places that objects are bound to: closure cells, entries of containers, attributes."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any, TypeAlias

MISSING = object()
"""What a place that holds nothing reads as."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A variable of an enclosing function."""

    cell: types.CellType

    @property
    def identity(self) -> tuple[int, Any]:
        """Equal for two descriptions of one place."""
        return id(self.cell), None

    def read(self) -> Any:
        """The object bound here, or `MISSING`."""
        try:
            return self.cell.cell_contents
        except ValueError:
            return MISSING

    def write(self, value: Any) -> None:
        """Bind another object."""
        self.cell.cell_contents = value


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a dict or list: a global, an instance's attribute, a user's container."""

    container: Any
    key: Any

    @property
    def identity(self) -> tuple[int, Any]:
        """Equal for two descriptions of one place."""
        return id(self.container), self.key

    def read(self) -> Any:
        """The object bound here, or `MISSING`."""
        try:
            return self.container[self.key]
        except (KeyError, IndexError):
            return MISSING

    def write(self, value: Any) -> None:
        """Bind another object."""
        self.container[self.key] = value


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that is not in an instance's `__dict__`: of a class, or in a slot."""

    owner: Any
    name: str

    @property
    def identity(self) -> tuple[int, Any]:
        """Equal for two descriptions of one place."""
        return id(self.owner), self.name

    def read(self) -> Any:
        """The object bound here, or `MISSING`."""
        if isinstance(self.owner, type):
            return vars(self.owner).get(self.name, MISSING)
        return getattr(self.owner, self.name, MISSING)

    def write(self, value: Any) -> None:
        """Bind another object, in frozen dataclasses too."""
        if isinstance(self.owner, type):
            setattr(self.owner, self.name, value)
        else:
            object.__setattr__(self.owner, self.name, value)


Place: TypeAlias = Cell | Item | Attribute
