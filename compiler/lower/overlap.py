"""Windows added back to where they came from.

The result is cleared; then each offset inside a window is one pass that adds the elements with that
offset to the places where they lie. Within a pass no two of them lie at the same place, so that it
runs in whole vectors, and the order of the additions is that of the offsets.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.graph import Graph, Node
from ..target import Target
from .builder import LoopBuilder
from .contraction import fitting_lanes
from .language import LANE, Affine, Kernel, index
from .pull import BodyReader, Index, Position, buffer_access


class UnwindowLowering:
    """Lowers a fused body that is one `unwindow`."""

    def __init__(self, body: Graph, target: Target) -> None:
        self.body = body
        self.node: Node = body.nodes[-1]
        self.type = self.node.output.type
        extent = self.type.shape[-1] if self.type.rank else 1
        self.lanes = fitting_lanes(target.lanes(self.type.dtype.itemsize), extent)
        self.builder = LoopBuilder(self.lanes)
        self.reader = BodyReader(body, self.builder)
        self.out = len(body.inputs)
        self._symbols = 0

    def lower(self) -> Kernel:
        """The kernel."""
        phases = []
        if 0 not in self.type.shape:
            self._walk(self.type.shape, self._clear)
            phases.append(self.builder.finish_phase())
            self.reader.forget()
            self._offsets(self.node.inputs[0].type.shape[self.type.rank :], ())
        phases.append(self.builder.finish_phase())
        return Kernel(
            self.node.op.name,
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            (),
            tuple(phases),
            tuple(self.builder.sites),
        )

    def _symbol(self) -> str:
        self._symbols += 1
        return f"i{self._symbols - 1}"

    def _walk(self, extents: tuple[int, ...], visit: Callable[[Index], None]) -> None:
        """Nested loops over `extents`, the last of them in whole and partial vectors."""
        self._walk_rest(extents, visit, ())

    def _walk_rest(
        self, extents: tuple[int, ...], visit: Callable[[Index], None], at: Index
    ) -> None:
        if len(at) == len(extents):
            visit(at)
            return
        extent = extents[len(at)]
        step = self.lanes if len(at) == len(extents) - 1 else 1
        lane = index(LANE) if step > 1 else Affine()
        whole = extent - extent % step
        if whole:
            symbol = self._symbol()
            with self.builder.loop(symbol, 0, whole, step):
                self._walk_rest(extents, visit, (*at, Position(index(symbol) + lane)))
        if extent % step:
            self.builder.active = extent % step
            self._walk_rest(extents, visit, (*at, Position(lane + whole)))
            self.builder.active = None

    def _clear(self, at: Index) -> None:
        zero = self.builder.literal(0, self.type.dtype)
        self.builder.store(buffer_access(self.out, self.type, at), zero)

    def _offsets(self, sizes: tuple[int, ...], offsets: Index) -> None:
        """Loops over the offsets inside a window; all windows inside of them."""
        if sizes:
            symbol = self._symbol()
            with self.builder.loop(symbol, 0, sizes[0]):
                self._offsets(sizes[1:], (*offsets, Position(index(symbol))))
            return
        counts = self.node.inputs[0].type.shape[: self.type.rank]
        self._walk(counts, lambda at: self._add(at, offsets))

    def _add(self, at: Index, offsets: Index) -> None:
        b, attrs = self.builder, self.node.attrs
        place = list(at)
        for axis, stride, dilation, offset in zip(
            attrs["axes"], attrs["strides"], attrs["dilations"], offsets, strict=True
        ):
            place[axis] = at[axis] * stride + offset * dilation
        access = buffer_access(self.out, self.type, tuple(place))
        value = self.reader.read(self.node.inputs[0], (*at, *offsets))
        total = b.compute("add", [b.reload(access, self.type.dtype), value], self.type.dtype)
        b.store(access, total)
