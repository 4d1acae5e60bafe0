"""The trace that derivative rules emit to while a graph is expanded."""

from __future__ import annotations

from typing import Any, NoReturn

from ...ir.location import Location
from ...ir.types import DType
from ..trace.array import TracedArray
from ..trace.context import Trace, leaked


class ExpansionTrace(Trace):
    """Takes operations only: rules bring no arrays and no functions of their own."""

    def location(self) -> Location | None:
        """The line of the node that is differentiated, known or not: nobody's code runs now."""
        return self.loc

    def capture(self, array: Any) -> NoReturn:
        """Rules write numbers, not arrays."""
        raise AssertionError("a derivative rule used a NumPy array")

    def adopt(self, array: TracedArray) -> NoReturn:
        """Everything that rules meet is of this trace."""
        raise leaked()

    def record(self, fn: Any, args: Any, kwargs: Any = None, wrt: Any = None) -> NoReturn:
        """Transformations inside rules are graphs already."""
        raise AssertionError("a derivative rule used a transformation")

    def wrote(self, array: TracedArray) -> None:
        """Rules may write to arrays that they made; nobody else sees these."""

    def restrict(self, array: TracedArray, dtype: DType) -> None:
        """Rules know no Python numbers of run time, so there is no range to keep."""
