"""Rules that move a view across an op that computes, where that makes views disappear."""

from __future__ import annotations

from ...ir.graph import Node, Value
from ...ir.ops import OPS, Family
from .rewriting import Rewriter, Rule

MAX_REGION = 32
"""Elementwise nodes that one view is moved across; a bound keeps the walk linear."""

_ELEMENTWISE = tuple(name for name, op in OPS.items() if op.family is Family.ELEMENTWISE)


# A view of elementwise ops of the inverse view


def _undone(view: Node, value: Value, rewriter: Rewriter) -> Value | None:
    """What the view of `value` is without any view: `value` is the inverse view of it."""
    definition = rewriter.definition(value, view.op.name)
    if definition is None:
        return None
    (source,) = definition.inputs
    if source.type.shape != view.output.type.shape:
        return None
    if view.op.name == "transpose":
        inner = definition.attrs["axes"]
        axes = [inner[axis] for axis in view.attrs["axes"]]
        return source if axes == sorted(axes) else None
    return source


def _region(view: Node, rewriter: Rewriter) -> tuple[list[Node], dict[Value, Value | None]] | None:
    """The elementwise nodes between `view` and inverse views, and what each leaf becomes.

    Leaves that repeat one element become None: they take any shape.
    """
    members: dict[Value, Node] = {}
    leaves: dict[Value, Value | None] = {}
    pending = [view.inputs[0]]
    while pending:
        value = pending.pop()
        if value in members or value in leaves:
            continue
        source = _undone(view, value, rewriter)
        definition = rewriter.definition(value)
        if source is not None or rewriter.uniform(value) is not None:
            leaves[value] = source
        elif definition is None or definition.op.family is not Family.ELEMENTWISE:
            return None
        elif rewriter.uses(value) > 1 or len(members) == MAX_REGION:
            return None
        else:
            members[value] = definition
            pending += definition.inputs
    if not any(leaves.values()):
        return None
    return _in_order(members, view.inputs[0]), leaves


def _in_order(members: dict[Value, Node], root: Value) -> list[Node]:
    """The nodes with operands before those that read them."""
    order: dict[Value, Node] = {}
    pending = [root]
    while pending:
        value = pending[-1]
        missing = [v for v in members[value].inputs if v in members and v not in order]
        if missing:
            pending += missing
        else:
            order[pending.pop()] = members[value]
    return list(order.values())


def _cancel(node: Node, rewriter: Rewriter) -> Value | None:
    definition = rewriter.definition(node.inputs[0])
    if definition is None or definition.op.family is not Family.ELEMENTWISE:
        return None
    found = _region(node, rewriter)
    if found is None:
        return None
    members, leaves = found
    shape = node.output.type.shape
    moved: dict[Value, Value] = {}
    for value, source in leaves.items():
        element = rewriter.uniform(value)
        if source is not None:
            moved[value] = source
        elif element is not None:
            moved[value] = rewriter.filled(element, value.type.with_shape(shape))
    for member in members:
        inputs = tuple(moved[value] for value in member.inputs)
        moved[member.output] = rewriter.emit_like(member, inputs)
    return moved[node.inputs[0]]


def _hoist_transposes(node: Node, rewriter: Rewriter) -> Value | None:
    """Two strided reads become one, and the op runs over contiguous memory."""
    sources: dict[Value, Value] = {}
    permutations = set()
    for value in node.inputs:
        definition = rewriter.definition(value, "transpose")
        if definition is not None and rewriter.uses(value) == 1:
            sources[value] = definition.inputs[0]
            permutations.add(definition.attrs["axes"])
        elif rewriter.uniform(value) is None:
            return None
    if len(sources) < 2 or len(permutations) != 1:
        return None
    shape = next(iter(sources.values())).type.shape
    inputs = []
    for value in node.inputs:
        element = rewriter.uniform(value)
        if value in sources:
            inputs.append(sources[value])
        elif element is not None:
            inputs.append(rewriter.filled(element, value.type.with_shape(shape)))
    result = rewriter.emit_like(node, tuple(inputs))
    return rewriter.emit("transpose", result, axes=permutations.pop())


# Reductions


def _reduce_units(node: Node, rewriter: Rewriter) -> Value | None:
    (x,), axes = node.inputs, node.attrs["axes"]
    if not axes or any(x.type.shape[axis] != 1 for axis in axes):
        return None
    result = rewriter.emit("reshape", x, shape=node.output.type.shape)
    if node.op.name != "sum":
        return result
    zero = rewriter.filled(x.type.dtype.type(0), result.type)
    return rewriter.emit("add", result, zero)


def _reduce_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "broadcast")
    if inner is None:
        return None
    kept, reduced = inner.attrs["axes"], node.attrs["axes"]
    if set(reduced) <= set(kept):
        return None
    x = inner.inputs[0]
    operand_axes = tuple(i for i, axis in enumerate(kept) if axis in reduced)
    if operand_axes:
        x = rewriter.emit(node.op.name, x, axes=operand_axes)
    remaining = [axis for axis in range(len(inner.attrs["shape"])) if axis not in reduced]
    axes = tuple(remaining.index(axis) for axis in kept if axis not in reduced)
    return rewriter.emit("broadcast", x, shape=node.output.type.shape, axes=axes)


# Joins


def _concatenate_trivial(node: Node, rewriter: Rewriter) -> Value | None:
    axis = node.attrs["axis"]
    filled = tuple(value for value in node.inputs if value.type.shape[axis] > 0)
    if len(filled) == len(node.inputs) > 1:
        return None
    if len(filled) > 1:
        return rewriter.emit("concatenate", *filled, axis=axis)
    return filled[0] if filled else node.inputs[0]


def _slice_concatenate(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "concatenate")
    if inner is None or node.output.type.size == 0:
        return None
    axis = inner.attrs["axis"]
    starts, limits = list(node.attrs["starts"]), list(node.attrs["limits"])
    offset = 0
    for piece in inner.inputs:
        end = offset + piece.type.shape[axis]
        if offset <= starts[axis] and limits[axis] <= end:
            starts[axis] -= offset
            limits[axis] -= offset
            return rewriter.emit(
                "slice",
                piece,
                starts=tuple(starts),
                limits=tuple(limits),
                steps=node.attrs["steps"],
            )
        if starts[axis] < end:
            return None
        offset = end
    return None


def _slice_pad(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.definition(node.inputs[0], "pad")
    if inner is None or any(inner.attrs["interior"]):
        return None
    x, low = inner.inputs[0], inner.attrs["low"]
    starts = tuple(a - offset for a, offset in zip(node.attrs["starts"], low, strict=True))
    limits = tuple(b - offset for b, offset in zip(node.attrs["limits"], low, strict=True))
    inside = zip(starts, limits, x.type.shape, strict=True)
    if not all(0 <= start <= limit <= extent for start, limit, extent in inside):
        return None
    return rewriter.emit("slice", x, starts=starts, limits=limits, steps=node.attrs["steps"])


def _pad_nothing(node: Node, rewriter: Rewriter) -> Value | None:
    (x,) = node.inputs
    return x if x.type == node.output.type else None


def _update_trivial(node: Node, rewriter: Rewriter) -> Value | None:
    x, new = node.inputs
    if new.type.size == 0:
        return x
    return new if new.type == x.type else None


RULES: tuple[Rule, ...] = (
    Rule("view(op(inverse view x)) -> op(x)", ("reshape", "transpose"), _cancel),
    Rule("op(transpose x, transpose y) -> transpose op(x, y)", _ELEMENTWISE, _hoist_transposes),
    Rule(
        "sum[extents 1] x -> add(reshape x, 0); prod, reduce_max, reduce_min -> reshape x",
        ("sum", "prod", "reduce_max", "reduce_min"),
        _reduce_units,
    ),
    Rule(
        "reduce_max[repeated axes] broadcast x -> x; reduce_min alike",
        ("reduce_max", "reduce_min"),
        _reduce_broadcast,
    ),
    Rule("concatenate(x, empty) -> x", ("concatenate",), _concatenate_trivial),
    Rule("slice[within y] concatenate(x, y, z) -> slice y", ("slice",), _slice_concatenate),
    Rule("slice[within x] pad x -> slice x", ("slice",), _slice_pad),
    Rule("pad[nothing] x -> x", ("pad",), _pad_nothing),
    Rule("update[everything](x, y) -> y; update[nothing](x, y) -> x", ("update",), _update_trivial),
)
"""Views and joins against ops that compute."""
