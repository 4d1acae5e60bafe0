"""The walk from results to leaves: each node once, the latest first, without recursion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, TypeAlias

import numpy as np

from ..ir.errors import DifferentiationError, ShapeError
from .base import TensorBase, data_of
from .modes import grad_mode
from .node import Node, edge_of

Cotangent: TypeAlias = Any
"""An array, or a tensor where the walk itself is recorded."""

Arrive: TypeAlias = Callable[[TensorBase, Cotangent, bool], None]
"""Takes the cotangent of a leaf or of a retaining tensor; True if the array is nobody else's."""


def backward(tensor: TensorBase, gradient: Any, *, retain_graph: bool, create_graph: bool) -> None:
    """Add the gradients of `tensor` to `.grad` of the leaves that it depends on."""
    if not tensor._wants:
        raise DifferentiationError(
            "backward starts at a tensor that depends on one that requires gradients",
            given=f"a tensor of shape {tensor._data.shape} without a graph",
            hint="make a leaf with tl.Tensor(..., requires_grad=True), or x.requires_grad_()",
        )
    seed = seed_of(tensor, gradient, create_graph)
    walk(
        [(tensor, seed)],
        lambda leaf, g, owned: _accumulate(leaf, g, owned, create_graph),
        create_graph=create_graph,
        release=not (retain_graph or create_graph),
    )


def seed_of(tensor: TensorBase, gradient: Any, create_graph: bool) -> Cotangent:
    """The cotangent to start from: ones for a scalar, else what is given, broadcast."""
    data, like = tensor._data, type(tensor)
    if gradient is None:
        if data.size != 1:
            raise DifferentiationError(
                "backward without a gradient starts at a scalar",
                given=f"a tensor of shape {data.shape}",
                hint="reduce it, x.sum().backward(), or pass x.backward(np.ones(x.shape))",
            )
        ones: Any = np.ones(data.shape, data.dtype)
        return like._of(ones) if create_graph else ones
    given = np.asarray(data_of(gradient))
    if given.dtype.kind not in "biuf" or not _broadcasts(given.shape, data.shape):
        raise ShapeError(
            f"the gradient passed to backward is like the tensor, {data.dtype} of {data.shape}",
            given=f"{given.dtype} of shape {given.shape}",
        )
    if not create_graph:
        return np.broadcast_to(given, data.shape).astype(data.dtype)
    seed: Any = gradient if isinstance(gradient, TensorBase) else like._of(given.copy())
    if (given.shape, given.dtype) == (data.shape, data.dtype):
        return seed
    return np.broadcast_to(seed, data.shape).astype(data.dtype)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(shape) <= len(target) and all(
        n in (1, m) for n, m in zip(reversed(shape), reversed(target), strict=False)
    )


def _accumulate(leaf: TensorBase, g: Cotangent, owned: bool, create_graph: bool) -> None:
    if create_graph:
        leaf._grad = g.copy() if leaf._grad is None else leaf._grad + g
        return
    if leaf._grad is not None:
        g, owned = leaf._grad._data + g, True
    if isinstance(leaf._data, np.ndarray) and not isinstance(g, np.ndarray):
        g = np.asarray(g)
    leaf._grad = type(leaf)._of(g if owned or isinstance(g, np.generic) else g.copy())


def walk(
    seeds: Iterable[tuple[TensorBase, Cotangent]],
    arrive: Arrive,
    *,
    create_graph: bool,
    release: bool,
    since: int = 0,
    visit: Callable[[Node], None] | None = None,
) -> None:
    """Carry the cotangents `seeds` back through the graph.

    `arrive` is called for leaves, and for tensors that asked for their gradient. Only nodes with
    numbers from `since` on are visited, `visit` is called with each. With `create_graph` cotangents
    are tensors and what is done with them is recorded.
    """
    pending: dict[Node, list[Any]] = {}
    heap: list[tuple[int, Node]] = []
    leaves: dict[int, tuple[TensorBase, Cotangent, bool]] = {}

    def send(source: Any, slot: int, g: Cotangent, owned: bool) -> None:
        if isinstance(source, TensorBase):
            leaves[id(source)] = _added(leaves.get(id(source)), source, g, owned)
            return
        if source.number < since:
            return
        waiting = pending.get(source)
        if waiting is None:
            waiting = pending[source] = [None] * source.width
            heappush(heap, (-source.number, source))
        known = waiting[slot]
        waiting[slot] = g if known is None else known + g

    with grad_mode(create_graph), np.errstate(all="ignore"):
        for tensor, seed in seeds:
            send(*edge_of(tensor), seed, False)
        while heap:
            node = heappop(heap)[1]
            if visit is not None:
                visit(node)
            received = pending.pop(node)
            if node.retained is not None:
                _give(node, received, arrive)
            pulled, owned = node.pull_recorded(received) if create_graph else node.pull(received)
            if release:
                node.release()
            for (source, slot), g, own in zip(node.inputs, pulled, owned, strict=True):
                if g is not None:
                    send(source, slot, g, own)
        for leaf, g, own in leaves.values():
            arrive(leaf, g, own)


def _added(
    known: tuple[TensorBase, Cotangent, bool] | None, leaf: TensorBase, g: Cotangent, owned: bool
) -> tuple[TensorBase, Cotangent, bool]:
    """What has arrived at a leaf, and whether the array is nobody else's."""
    if known is None:
        return leaf, g, owned
    total = known[1]
    if known[2] and total.__class__ is np.ndarray:
        total += g
    else:
        total = total + g
    return leaf, total, True


def _give(node: Node, received: Sequence[Any], arrive: Arrive) -> None:
    """Hand the cotangents of a node's results to the tensors that retain them."""
    for slot, reference in node.retained:
        tensor = reference()
        if tensor is not None and received[slot] is not None:
            arrive(tensor, received[slot], False)


def gradients(
    seeds: Iterable[tuple[TensorBase, Cotangent]],
    leaves: Sequence[TensorBase],
    *,
    create_graph: bool,
    since: int = 0,
    visit: Callable[[Node], None] | None = None,
) -> list[tuple[Cotangent, bool] | None]:
    """The cotangents of `leaves`, which stay out of `.grad`; None for one that is not reached.

    Beside each, whether nobody else holds its array. The graph is kept; for the other arguments
    see `walk`.
    """
    found: dict[int, tuple[Cotangent, bool]] = {}

    def arrive(leaf: TensorBase, g: Cotangent, owned: bool) -> None:
        found[id(leaf)] = g, owned

    walk(seeds, arrive, create_graph=create_graph, release=False, since=since, visit=visit)
    return [found.get(id(leaf)) for leaf in leaves]
