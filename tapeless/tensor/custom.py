"""`tl.custom_vjp` functions on tensors: the user's rule is run as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..compiler.trace.custom import leaf_cotangents
from ..ir.errors import ArgumentError, UnsupportedError
from ..ir.pytree import flatten
from .function import RuleNode, as_result
from .modes import MODE
from .tensor import Tensor


def apply_rule(
    fn: Callable[..., Any],
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    args: Sequence[Any],
) -> Any:
    """`fn(*args)`, whose derivative is defined by `forward` and `backward`.

    What `forward` does is recorded, so that the derivative's own derivative with respect to the
    residuals is known. Raises `ArgumentError` where the functions do not fit together,
    `UnsupportedError` for in-place updates of an argument.
    """
    leaves, _ = flatten(tuple(args))
    wants = [isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves]
    if not (MODE.grad and any(wants)):
        return fn(*args)
    name = getattr(fn, "__name__", type(fn).__name__)
    before = _versions(leaves)
    pair = forward(*args)
    if _versions(leaves) != before:
        raise UnsupportedError(
            "a function with a custom derivative updates nothing outside in place",
            given=f"{name} or its rule does",
            hint="return the new value instead",
        )
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ArgumentError(
            "the forward function of custom_vjp returns (out, residuals)",
            given=f"{type(pair).__name__} {pair!r:.60}",
        )
    out, residuals = pair
    results, tree = flatten(out)
    made = [as_result(x, leaves) if isinstance(x, Tensor) else x for x in results]
    is_tensor = [isinstance(x, Tensor) for x in results]

    def pull(*gradients: Tensor) -> tuple[Any, ...]:
        remaining = iter(gradients)
        cotangent = [next(remaining) if tensor else None for tensor in is_tensor]
        return tuple(leaf_cotangents(backward(residuals, tree.unflatten(cotangent)), args))

    RuleNode(name, pull, leaves, wants, [x for x in made if isinstance(x, Tensor)])
    return tree.unflatten(made)


def _versions(leaves: Sequence[Any]) -> list[int]:
    return [leaf._memory.written for leaf in leaves if isinstance(leaf, Tensor)]
