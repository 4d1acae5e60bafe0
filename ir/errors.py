"""Every exception and warning that tapeless raises on purpose.

A message says what was required, then what was given, then one hint, and starts with the user's
file and line where that is known. Each class also derives from the built-in exception that NumPy
would raise in the same situation, so that existing `except` clauses keep working.
"""

from __future__ import annotations

from .location import Location, user_location


class TapelessError(Exception):
    """Base of all errors of this package.

    `given` says what was met instead of what `requirement` asks for; `hint` how to mend it;
    `loc` is the user's line (found from the stack when not passed).
    """

    def __init__(
        self,
        requirement: str,
        *,
        given: str = "",
        hint: str = "",
        loc: Location | None = None,
    ) -> None:
        self.requirement = requirement
        self.given = given
        self.hint = hint
        self.loc = loc if loc is not None else user_location()
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"{self.loc}: " if self.loc else "", self.requirement]
        if self.given:
            parts.append(f"; given: {self.given}")
        if self.hint:
            parts.append(f"\n  hint: {self.hint}")
        return "".join(parts)


class TraceError(TapelessError, TypeError):
    """Python asked a traced array for something that is known only when the program runs."""


class UnsupportedError(TapelessError, NotImplementedError):
    """A NumPy function, option or indexing form that tapeless does not understand."""


class ShapeError(TapelessError, ValueError):
    """Shapes or axes that do not fit together."""


class DTypeError(TapelessError, TypeError):
    """An element type that is not supported, or not supported here."""


class ArgumentError(TapelessError, TypeError):
    """An argument of a compiled function that cannot be one: not an array, overlapping, …"""


class DifferentiationError(TapelessError, TypeError):
    """A gradient that does not exist: of a non-scalar, of an integer, through an opaque op."""


class OutOfBoundsError(TapelessError, IndexError):
    """An index outside its axis, found when the program ran."""


class DomainError(TapelessError, ValueError):
    """An operand value for which an operation is not defined, found when the program ran."""


class GraphError(TapelessError, ValueError):
    """A malformed graph or graph text: a bug in a pass, or in hand-written IR."""


class DependencyError(TapelessError, ImportError):
    """An optional package that is needed for what was asked for, and is not installed."""


class TraceWarning(UserWarning):
    """Something became a constant of the compiled function that the user may not expect."""
