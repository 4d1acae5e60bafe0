"""Kernels whose order matters: running sums, and writes at positions found at run time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from ...ir.graph import Graph, Node
from ...ir.types import TensorType
from ..target import Target
from .builder import LoopBuilder
from .division import divide, pieces_wanted
from .language import LANE, Affine, Division, Kernel, Phase, Share, Var, index
from .pull import BodyReader, Index, Position, buffer_access, checked_index


class SerialLowering:
    """Lowers a fused body that is one `cumsum`, `scatter` or `scatter_add`."""

    def __init__(self, kind: str, body: Graph, target: Target) -> None:
        self.kind = kind
        self.body = body
        self.node: Node = body.nodes[-1]
        self.type = self.node.output.type
        extent = self.type.shape[-1] if self.type.shape else 1
        lanes = 1
        if self._vector_axis_is_free():
            lanes = min(target.lanes(8), 16)
            while lanes > 1 and lanes // 2 >= extent:
                lanes //= 2
        self.lanes = lanes
        self.builder = LoopBuilder(lanes)
        self.reader = BodyReader(body, self.builder)
        self.out = len(body.inputs)
        self.wanted = pieces_wanted(body, target)
        self.phases: list[Phase] = []
        self.grid: list[Division] = []
        self._shared_axis: int | None = None
        self._symbols = 0

    def _vector_axis_is_free(self) -> bool:
        """Whether the last axis is neither summed along nor indexed."""
        last = self.type.rank - 1
        axes = (self.node.attrs["axis"],) if self.kind == "cumsum" else self.node.attrs["axes"]
        return last >= 0 and last not in axes

    def lower(self) -> Kernel:
        """The kernel."""
        if 0 not in self.type.shape:
            self._cumsum() if self.kind == "cumsum" else self._scatter()
        self._finish_phase()
        return Kernel(
            self.kind,
            tuple(value.type for value in (*self.body.inputs, *self.body.outputs)),
            len(self.body.inputs),
            (),
            tuple(self.phases),
            tuple(self.builder.sites),
        )

    def _symbol(self) -> str:
        self._symbols += 1
        return f"i{self._symbols - 1}"

    def _finish_phase(self) -> None:
        self.phases.append(self.builder.finish_phase(self.grid))
        self.grid, self._shared_axis = [], None

    def _share_out(self, extents: tuple[int, ...], vector: int | None) -> None:
        """Let pieces of this phase have a part each of the first of the axes to be walked."""
        wide = [axis for axis, extent in enumerate(extents) if extent > 1]
        if not wide:
            return
        step = self.lanes if wide[0] == vector else 1
        grid = divide([-(-extents[wide[0]] // step)], self.wanted)
        if grid[0].pieces > 1:
            self.grid, self._shared_axis = grid, wide[0]

    def _walk(
        self,
        extents: tuple[int, ...],
        vector: int | None,
        visit: Callable[[Index], None],
        at: Index = (),
    ) -> None:
        """Nested loops over `extents`; the axis `vector` in whole and partial vectors."""
        axis = len(at)
        if axis == len(extents):
            visit(at)
            return
        extent = extents[axis]
        step = self.lanes if axis == vector else 1
        lane = index(LANE) if step > 1 else Affine()
        whole = extent - extent % step
        shared = axis == self._shared_axis
        if whole:
            symbol = self._symbol()
            with self.builder.loop(symbol, 0, whole, step, share=Share(0) if shared else None):
                here = Position(index(symbol) + lane)
                self._walk(extents, vector, visit, (*at, here))
        if extent % step:
            last = Share(0, whole // step)
            once = self.builder.loop(self._symbol(), 0, 1, share=last) if shared else nullcontext()
            with once:
                self.builder.active = extent % step
                self._walk(extents, vector, visit, (*at, Position(lane + whole)))
                self.builder.active = None

    def _place(self, at: Index) -> tuple[int, TensorType, Index]:
        return self.out, self.type, at

    def _cumsum(self) -> None:
        b, shape, axis = self.builder, self.type.shape, self.node.attrs["axis"]
        source = self.node.inputs[0]
        others = shape[:axis] + shape[axis + 1 :]
        vector = len(others) - 1 if self.lanes > 1 else None

        def line(at: Index) -> None:
            zero = b.literal(-0.0 if self.type.dtype.kind == "f" else 0, self.type.dtype)
            start = b.splat(zero) if self.lanes > 1 else zero
            symbol = self._symbol()
            with b.loop(symbol, 0, shape[axis], 1, [start]) as frame:
                along = Position(index(symbol))
                if self.node.attrs["reverse"]:
                    along = along * -1 + (shape[axis] - 1)
                here = (*at[:axis], along, *at[axis:])
                value = self.reader.read(source, here)
                total = b.compute("add", [frame.values[0], value], self.type.dtype)
                total = b.splat(total) if self.lanes > 1 else total
                b.store(buffer_access(self.out, self.type, here), total)
                frame.yields = [total]

        self._share_out(others, vector)
        self._walk(others, vector, line)

    def _scatter(self) -> None:
        """Copy the operand, then write the updates one position after another."""
        b = self.builder
        x, updates, *positions = self.node.inputs
        axes = self.node.attrs["axes"]
        lead = positions[0].type.rank
        last = self.type.rank - 1

        def copy(at: Index) -> None:
            b.store(buffer_access(self.out, self.type, at), self.reader.read(x, at))

        def write(at: Index) -> None:
            found: dict[int, Var] = {
                axis: checked_index(
                    self.reader, self.node, self.reader.read(value, at[:lead]), axis, None
                )
                for axis, value in zip(axes, positions, strict=True)
            }
            rest = iter(at[lead:])
            place = tuple(
                Position(dynamic=((found[axis], 1),)) if axis in found else next(rest)
                for axis in range(self.type.rank)
            )
            access = buffer_access(self.out, self.type, place)
            value = self.reader.read(updates, at)
            if self.kind == "scatter_add":
                old = b.reload(access, self.type.dtype)
                value = b.compute("add", [old, value], self.type.dtype)
            b.store(access, value)

        vector = last if self.lanes > 1 else None
        self._share_out(self.type.shape, vector)
        self._walk(self.type.shape, vector, copy)
        self._finish_phase()
        if 0 not in updates.type.shape:
            vector = updates.type.rank - 1 if self.lanes > 1 else None
            self._walk(updates.type.shape, vector, write)
