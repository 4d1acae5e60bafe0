"""Everything that tapeless raises on purpose; see `tapeless.ir.errors` for what each means."""

from .ir.errors import (
    ArgumentError,
    DependencyError,
    DifferentiationError,
    DomainError,
    DTypeError,
    GraphError,
    OutOfBoundsError,
    ShapeError,
    TapelessError,
    TraceError,
    TraceWarning,
    UnsupportedError,
)

__all__ = [
    "ArgumentError",
    "DTypeError",
    "DependencyError",
    "DifferentiationError",
    "DomainError",
    "GraphError",
    "OutOfBoundsError",
    "ShapeError",
    "TapelessError",
    "TraceError",
    "TraceWarning",
    "UnsupportedError",
]
