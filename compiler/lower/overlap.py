"""Windows added back to where they came from.

The result is cleared; then each offset inside a window is one pass that adds the elements with that
offset to the places where they lie. Within a pass no two of them lie at the same place, so that it
runs in whole vectors, and the order of the additions is that of the offsets.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ir.graph import Graph, Node
from ...ir.ops.convolution import window_axes
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
        self.positions, self.elements = window_axes(self.type.rank, self.node.attrs["axes"])
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
            self._offsets(())
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

    def _offsets(self, offsets: Index) -> None:
        """Loops over the offsets inside a window; all windows inside of them."""
        shape = self.node.inputs[0].type.shape
        if len(offsets) < len(self.elements):
            symbol = self._symbol()
            with self.builder.loop(symbol, 0, shape[self.elements[len(offsets)]]):
                self._offsets((*offsets, Position(index(symbol))))
            return
        counts = tuple(shape[axis] for axis in self.positions)
        self._walk(counts, lambda at: self._add(at, offsets))

    def _add(self, at: Index, offsets: Index) -> None:
        b, attrs = self.builder, self.node.attrs
        place = list(at)
        for axis, stride, dilation, offset in zip(
            attrs["axes"], attrs["strides"], attrs["dilations"], offsets, strict=True
        ):
            place[axis] = at[axis] * stride + offset * dilation
        access = buffer_access(self.out, self.type, tuple(place))
        along = dict(zip(self.positions, at, strict=True))
        along |= dict(zip(self.elements, offsets, strict=True))
        source = tuple(along[axis] for axis in range(len(along)))
        value = self.reader.read(self.node.inputs[0], source)
        total = b.compute("add", [b.reload(access, self.type.dtype), value], self.type.dtype)
        b.store(access, total)
