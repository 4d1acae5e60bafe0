"""Derivatives checked against numerical ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arguments import arguments_of
from .compiled import compile
from .ir.errors import ArgumentError, DifferentiationError
from .ir.pytree import flatten
from .transforms import jvp, vjp

Array = np.ndarray[Any, Any]
Leaves = Sequence[Array]

_STENCIL = ((1, 45 / 60), (2, -9 / 60), (3, 1 / 60))
"""Weights of f(x + kh) - f(x - kh) in the central difference of order 6 for the first derivative.

Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Mathematics of
Computation 51 (1988), table 1."""

_STEPS = (2.0**-8, 2.0**-11, 2.0**-14)
"""Steps tried from the largest: rounding error grows as 1/h, a kink must not be stepped over."""


def check_grads(
    fn: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = ("fwd", "rev"),
    *,
    tolerance: float = 1e-6,
) -> None:
    """Compare the derivatives of `fn(*args)` up to `order` with numerical ones.

    For every floating-point leaf of `args`, the derivative along a random direction is computed
    in forward mode (`"fwd"`), in reverse mode (`"rev"`) and by central differences of order 6, all
    in float64. For higher orders the same is done with the derivatives themselves. Raises
    `DifferentiationError` naming the leaf, what was expected and what was got when they differ by
    more than `tolerance`, relative to the larger of 1 and the derivative.
    """
    checks = {"fwd": _check_forward, "rev": _check_reverse}
    if order < 1 or not modes or any(mode not in checks for mode in modes):
        raise ArgumentError(
            'check_grads takes order >= 1 and modes out of "fwd" and "rev"',
            given=f"order={order}, modes={modes!r}",
        )
    function, leaves = _on_float_leaves(fn, args)
    random = np.random.default_rng(0)
    pending = [(function, order)]
    while pending:
        function, order = pending.pop()
        for mode in modes:
            derivative = checks[mode](function, leaves, random, tolerance)
            if order > 1:
                pending.append((derivative, order - 1))


@dataclass(frozen=True, slots=True)
class _Function:
    """`fn` as a function of its floating-point leaves, giving a list of floating-point leaves."""

    call: Callable[..., list[Any]]
    paths: tuple[str, ...]
    what: str = "the derivative"

    def derived(self, call: Callable[..., list[Any]], mode: str) -> _Function:
        return _Function(call, self.paths, f"{self.what} of the {mode} derivative")


def _on_float_leaves(fn: Callable[..., Any], args: Sequence[Any]) -> tuple[_Function, Leaves]:
    leaves, structure = flatten(tuple(args))
    arguments, _ = arguments_of(fn, args, {})
    paths = [path for argument in arguments for path in argument.paths()]
    floats = [i for i, leaf in enumerate(leaves) if np.asarray(leaf).dtype.kind == "f"]
    if not floats:
        raise DifferentiationError(
            "check_grads needs an argument with floating-point elements",
            given=", ".join(
                f"{p}: {np.asarray(x).dtype}" for p, x in zip(paths, leaves, strict=True)
            ),
        )

    def call(*values: Any) -> list[Any]:
        filled = list(leaves)
        for i, value in zip(floats, values, strict=True):
            filled[i] = value
        return _float_outputs(fn(*structure.unflatten(filled)))

    start = [np.array(leaves[i], np.float64) for i in floats]
    return _Function(call, tuple(paths[i] for i in floats)), start


def _float_outputs(out: Any) -> list[Any]:
    found = [leaf for leaf in flatten(out)[0] if np.result_type(leaf).kind == "f"]
    if not found:
        raise DifferentiationError("check_grads needs a floating-point result", given=repr(out))
    return found


def _check_forward(
    function: _Function, leaves: Leaves, random: np.random.Generator, tolerance: float
) -> _Function:
    push = compile(lambda primals, tangents: jvp(function.call, primals, tangents)[1])
    for k, direction in enumerate(_directions(leaves, random)):
        tangents = tuple(
            direction if i == k else np.zeros_like(leaf) for i, leaf in enumerate(leaves)
        )
        got = push(tuple(leaves), tangents)
        for expected in _numerical(function, leaves, k, direction):
            if _agree(got, expected, tolerance):
                break
        else:
            raise _disagreement(function, k, "forward", expected, got)
    whole = tuple(_directions(leaves, random))
    return function.derived(lambda *primals: list(push(primals, whole)), "forward")


def _check_reverse(
    function: _Function, leaves: Leaves, random: np.random.Generator, tolerance: float
) -> _Function:
    pull = compile(lambda primals, cotangents: vjp(function.call, *primals)[1](cotangents))
    outputs = [np.asarray(out, np.float64) for out in function.call(*leaves)]
    cotangents = list(_directions(outputs, random))
    gradients = pull(tuple(leaves), cotangents)
    for k, direction in enumerate(_directions(leaves, random)):
        got = [np.sum(gradients[k] * direction)]
        for tangents in _numerical(function, leaves, k, direction):
            expected = [sum(np.sum(c * t) for c, t in zip(cotangents, tangents, strict=True))]
            if _agree(got, expected, tolerance):
                break
        else:
            raise _disagreement(function, k, "reverse", expected, got)
    return function.derived(lambda *primals: list(pull(primals, cotangents)), "reverse")


def _directions(leaves: Leaves, random: np.random.Generator) -> Iterator[Array]:
    """For each leaf a random array of its shape and of norm 1."""
    for leaf in leaves:
        direction = random.standard_normal(np.shape(leaf))
        yield np.asarray(direction / max(float(np.sqrt(np.sum(direction**2))), 1e-300))


def _numerical(
    function: _Function, leaves: Leaves, k: int, direction: Array
) -> Iterator[list[Array]]:
    """The derivative of every output along `direction` in leaf `k`, once for each step."""

    def at(offset: float) -> list[Array]:
        moved = [leaf + offset * direction if i == k else leaf for i, leaf in enumerate(leaves)]
        return [np.asarray(out, np.float64) for out in function.call(*map(np.copy, moved))]

    for step in _STEPS:
        total: list[Array] | None = None
        for distance, weight in _STENCIL:
            ahead, behind = at(distance * step), at(-distance * step)
            terms = [weight / step * (a - b) for a, b in zip(ahead, behind, strict=True)]
            total = terms if total is None else [s + t for s, t in zip(total, terms, strict=True)]
        assert total is not None
        yield total


def _agree(got: Sequence[Any], expected: Sequence[Any], tolerance: float) -> bool:
    return all(
        bool(np.all(np.abs(g - e) <= tolerance * np.maximum(1, np.abs(e))))
        for g, e in zip(got, expected, strict=True)
    )


def _disagreement(
    function: _Function, k: int, mode: str, expected: Sequence[Any], got: Sequence[Any]
) -> DifferentiationError:
    return DifferentiationError(
        f"{function.what} with respect to {function.paths[k]} along a random direction, "
        f"in {mode} mode, must be the numerical one, {_shown(expected)}",
        given=_shown(got),
        hint="look at kinks near the arguments and at custom_vjp rules",
    )


def _shown(values: Sequence[Any]) -> str:
    with np.printoptions(threshold=8, precision=10):
        return ", ".join(str(np.asarray(value)) for value in values)
