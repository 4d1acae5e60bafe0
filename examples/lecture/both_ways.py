"""What the scripts share: a function run compiled and define-by-run, and tables of results."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import tapeless as tl

Row = tuple[Any, ...]
"""What a number is, then the number as often as there are ways to it."""

WAYS = ("by formula", "compiled", "define-by-run")
"""A formula worked out on paper, and the two ways of the library."""


def compiled(f: Any, *arguments: Any) -> list[Any]:
    """The value of f and its derivatives in all arguments, by one program made ahead.

    The program holds the forward and the backward pass. It is compiled on the first call.
    """
    numbers = [np.asarray(x)[()] for x in arguments]
    value, gradients = tl.value_and_grad(f, argnums=tuple(range(len(numbers))))(*numbers)
    return [value, *gradients]


def define_by_run(f: Any, *arguments: Any) -> list[Any]:
    """The same by a graph that grows while f runs, and that `backward` walks and gives up."""
    leaves = [tl.Tensor(x, requires_grad=True) for x in arguments]
    value = f(*leaves)
    value.backward()
    return [value.numpy(), *(leaf.grad.numpy() for leaf in leaves)]


def rows(names: Sequence[str], formulas: Sequence[Any], f: Any, *arguments: Any) -> list[Row]:
    """A row for the value of f, and one for the derivative in each argument."""
    return table(names, formulas, compiled(f, *arguments), define_by_run(f, *arguments))


def table(names: Sequence[str], *columns: Sequence[Any]) -> list[Row]:
    """Rows out of columns."""
    numbers = [[float(number) for number in column] for column in columns]
    return list(zip(names, *numbers, strict=True))


def show(title: str, table: Sequence[Row], columns: Sequence[str] = WAYS, digits: int = 10) -> None:
    """Print a table; the last column says how far the numbers of a row are apart."""
    print(f"\n{title}\n")
    first, rest = max(len(row[0]) for row in table), digits + 8
    print(" " * (first + 2) + "".join(f"{name:>{rest}}" for name in columns) + "   apart")
    for what, *numbers in table:
        cells = "".join(f"{number:>{rest}.{digits}g}" for number in numbers)
        print(f"  {what:<{first}}{cells}{max(numbers) - min(numbers):8.0e}")
