"""A small builder of LLVM IR as text, parsed by ``llvmlite.binding.parse_assembly``.

Text is several times faster to make than ``llvmlite.ir`` objects, and it is what people read in
the ``llvm`` stage. Instructions follow the LLVM Language Reference; the types are opaque-pointer,
the masked-memory intrinsics carry their alignment as a parameter attribute (LLVM 22). Nothing here
ever writes a fast-math flag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from .operand import (
    Operand,
    constant,
    intrinsic_suffix,
    mask_type,
    scalar_text,
    vector_constant,
    vector_type,
)

__all__ = ["Function", "Module", "Operand", "Phi", "vector_type"]

VOID = Operand("void", "")

_T = TypeVar("_T")


class Module:
    """One LLVM module: functions, private tables, and the declarations they turn out to need.

    ``features`` is LLVM's comma-separated feature string ("+avx2,+fma"); it and ``cpu``, which is
    tuned for, are attached to every function so that the text alone decides the code.
    """

    def __init__(self, name: str, triple: str, data_layout: str, cpu: str, features: str) -> None:
        self.name = name
        self.triple = triple
        self.data_layout = data_layout
        self.cpu = cpu
        self.features = features
        enabled = features.split(",")
        aarch64 = triple.startswith(("aarch64", "arm64"))
        self.has_fma = aarch64 or "+fma" in enabled or "+avx512f" in enabled
        self._functions: dict[str, Function] = {}
        self.declared: dict[str, str] = {}
        self._globals: dict[str, str] = {}
        self._tables: dict[tuple[str, str], Operand] = {}

    def function(
        self,
        name: str,
        return_type: str,
        params: Sequence[tuple[str, str, str]],
        *,
        linkage: str = "",
        attributes: str = "nounwind",
    ) -> Function:
        """Start a function; ``params`` are (type, name, parameter attributes)."""
        assert name not in self._functions, name
        function = Function(self, name, return_type, params, linkage, attributes)
        self._functions[name] = function
        return function

    def has_function(self, name: str) -> bool:
        """Whether ``name`` is being defined here."""
        return name in self._functions

    def constant_table(
        self, name: str, element_type: str, values: Sequence[bool | int | float]
    ) -> Operand:
        """A private constant array, 64-byte aligned; equal tables of one name are made once."""
        items = ", ".join(f"{element_type} {scalar_text(element_type, v)}" for v in values)
        found = self._tables.get((name, items))
        if found is None:
            unique = name if name not in self._globals else f"{name}.{len(self._globals)}"
            kind = f"[{len(values)} x {element_type}]"
            self._globals[unique] = (
                f"@{unique} = private unnamed_addr constant {kind} [{items}], align 64"
            )
            found = self._tables[name, items] = Operand("ptr", f"@{unique}")
        return found

    def global_variable(self, name: str, definition: str) -> Operand:
        """``@name = definition`` as written; returns its address."""
        self._globals.setdefault(name, f"@{name} = {definition}")
        return Operand("ptr", f"@{name}")

    def declare(self, name: str, return_type: str, types: Iterable[str]) -> None:
        """Declare a function; dropped again if the module defines it."""
        if name not in self.declared:
            self.declared[name] = f"declare {return_type} @{name}({', '.join(types)})"

    def text(self) -> str:
        """The whole module; the same text whatever order declarations were met in."""
        parts = [f'source_filename = "{self.name}"']
        parts.append(f'target datalayout = "{self.data_layout}"')
        parts.append(f'target triple = "{self.triple}"')
        parts.extend(self._globals.values())
        parts.extend(function.text() for function in self._functions.values())
        declared = self.declared.items()
        parts.extend(text for name, text in sorted(declared) if name not in self._functions)
        base = "x86-64" if self.triple.startswith("x86_64") else self.cpu
        target = f'"target-cpu"="{base}" "tune-cpu"="{self.cpu}"'
        target += f' "target-features"="{self.features}"'
        parts.append(f"attributes #0 = {{ {target} }}")
        return "\n".join(parts) + "\n"


class Phi:
    """A phi whose incoming edges may be added after it is placed (for loop-carried values)."""

    __slots__ = ("_incoming", "value")

    def __init__(self, value: Operand, incoming: Iterable[tuple[Operand, str]]) -> None:
        self.value = value
        self._incoming = list(incoming)

    def add(self, value: Operand, label: str) -> None:
        """Add the edge from the block ``label``."""
        assert value.type == self.value.type, (value, self.value)
        self._incoming.append((value, label))

    def __str__(self) -> str:
        edges = ", ".join(f"[ {value.text}, %{label} ]" for value, label in self._incoming)
        return f"  {self.value.text} = phi {self.value.type} {edges}"


_Binary = Callable[["Function", Operand, Operand], Operand]


def _binary(opcode: str) -> _Binary:
    """The builder method of one two-operand instruction; both operands have the result's type."""

    def emit(self: Function, a: Operand, b: Operand) -> Operand:
        assert a.type == b.type, (opcode, a, b)
        self._count = number = self._count + 1
        result = f"%{number}"
        self._lines.append(f"  {result} = {opcode} {a.type} {a.text}, {b.text}")
        return Operand(a.type, result)

    emit.__doc__ = f"The ``{opcode}`` instruction, elementwise."
    return emit


class Function:
    """A function under construction: each method appends one instruction to the current block."""

    def __init__(
        self,
        module: Module,
        name: str,
        return_type: str,
        params: Sequence[tuple[str, str, str]],
        linkage: str,
        attributes: str,
    ) -> None:
        self.module = module
        self.name = name
        self.return_type = return_type
        self.has_fma = module.has_fma
        self.params = tuple(Operand(type_, f"%{param}") for type_, param, _ in params)
        spelled = ", ".join(" ".join(filter(None, (t, a, f"%{p}"))) for t, p, a in params)
        words = ("define", linkage, return_type, f"@{name}({spelled})", attributes, "#0", "{")
        self._header = " ".join(filter(None, words))
        self._allocas: list[str] = []
        self._lines: list[str | Phi] = []
        self._count = 0
        self._labels: dict[str, int] = {}
        self._shared: list[dict[object, Any]] = [{}]
        self.current = self.block("entry")

    def text(self) -> str:
        """The definition; stack slots lead the entry block."""
        head = [self._header, "entry:", *self._allocas]
        return "\n".join([*head, *map(str, self._lines), "}"])

    def instruction(self, type_: str, text: str) -> Operand:
        """Append ``%n = text``; ``type_`` is the result's type. For what has no method here."""
        self._count = number = self._count + 1
        self._lines.append(f"  %{number} = {text}")
        return Operand(type_, f"%{number}")

    def statement(self, text: str) -> None:
        """Append an instruction without a result, as written."""
        self._lines.append("  " + text)

    def comment(self, text: str) -> None:
        """A comment line in the IR."""
        self._lines.append(f"  ; {text}")

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Blocks that what follows cannot rely on having run: the body of a loop."""
        self._shared.append({})
        yield
        self._shared.pop()

    def shared(self, key: object, make: Callable[[], _T]) -> _T:
        """What `make` emits, or what it emitted for an equal `key` in a scope that is open."""
        for known in self._shared:
            if key in known:
                found: _T = known[key]
                return found
        made = self._shared[-1][key] = make()
        return made

    # Constants

    def const(self, type_: str, value: bool | int | float | None) -> Operand:
        """An exact constant (NaN and infinities too); a vector type gives a splat."""
        return constant(type_, value)

    def vector(self, element: str, values: Sequence[bool | int | float]) -> Operand:
        """A constant vector of the given elements."""
        return vector_constant(element, values)

    def lane_ids(self, element: str, lanes: int) -> Operand:
        """The constant <0, 1, 2, ...> of an integer element type."""
        return vector_constant(element, range(lanes))

    # Arithmetic

    fadd, fsub, fmul = _binary("fadd"), _binary("fsub"), _binary("fmul")
    fdiv, frem = _binary("fdiv"), _binary("frem")
    add, sub, mul = _binary("add"), _binary("sub"), _binary("mul")
    sdiv, udiv, srem, urem = _binary("sdiv"), _binary("udiv"), _binary("srem"), _binary("urem")
    shl, lshr, ashr = _binary("shl"), _binary("lshr"), _binary("ashr")
    and_, or_, xor = _binary("and"), _binary("or"), _binary("xor")

    def fneg(self, a: Operand) -> Operand:
        """Flip the sign bit."""
        return self.instruction(a.type, f"fneg {a.type} {a.text}")

    def icmp(self, predicate: str, a: Operand, b: Operand) -> Operand:
        """Integer or pointer comparison: eq, ne, slt, sle, sgt, sge, ult, ule, ugt, uge."""
        assert a.type == b.type, (predicate, a, b)
        return self.instruction(mask_type(a.type), f"icmp {predicate} {a.type} {a.text}, {b.text}")

    def fcmp(self, predicate: str, a: Operand, b: Operand) -> Operand:
        """Float comparison; o... is false and u... true when either operand is NaN."""
        assert a.type == b.type, (predicate, a, b)
        return self.instruction(mask_type(a.type), f"fcmp {predicate} {a.type} {a.text}, {b.text}")

    def select(self, condition: Operand, a: Operand, b: Operand) -> Operand:
        """``a`` where ``condition``, else ``b``; a scalar condition chooses whole vectors."""
        assert a.type == b.type, (a, b)
        kind = f"{condition.type} {condition.text}"
        return self.instruction(a.type, f"select {kind}, {a.type} {a.text}, {b.type} {b.text}")

    def cast(self, kind: str, a: Operand, element_type: str) -> Operand:
        """Convert each element: sext, zext, trunc, fpext, fptrunc, sitofp, fptosi, bitcast, ..."""
        result = vector_type(element_type, a.lanes)
        return self.instruction(result, f"{kind} {a.type} {a.text} to {result}")

    def fma(self, a: Operand, b: Operand, c: Operand) -> Operand:
        """a * b + c rounded once; a slow library call on a target without ``has_fma``."""
        assert a.type == b.type == c.type, (a, b, c)
        return self.call(f"llvm.fma.{intrinsic_suffix(a.type)}", a.type, (a, b, c))

    def mul_add(self, a: Operand, b: Operand, c: Operand) -> Operand:
        """a * b + c, rounded once or twice, whichever the target does fast."""
        return self.fma(a, b, c) if self.has_fma else self.fadd(self.fmul(a, b), c)

    def intrinsic(
        self,
        name: str,
        result_type: str,
        args: Sequence[Operand],
        suffix_types: Iterable[str],
    ) -> Operand:
        """Call an overloaded intrinsic: ``llvm.sqrt`` with suffix types ("<16 x float>",)."""
        suffix = "".join([f".{intrinsic_suffix(type_)}" for type_ in suffix_types])
        return self.call(name + suffix, result_type, args)

    def call(self, callee: str | Operand, return_type: str, args: Sequence[Operand]) -> Operand:
        """Call a function by name (declared from the arguments' types) or through a pointer."""
        spelled = ", ".join([f"{a.type} {a.text}" for a in args])
        if isinstance(callee, str):
            if callee not in self.module.declared:
                self.module.declare(callee, return_type, [a.type for a in args])
            target = f"@{callee}"
        else:
            target = callee.text
        if return_type == "void":
            self._lines.append(f"  call void {target}({spelled})")
            return VOID
        return self.instruction(return_type, f"call {return_type} {target}({spelled})")

    # Memory; alignments are in bytes

    def gep(self, pointer: Operand, element_type: str, index: Operand) -> Operand:
        """``pointer + index`` elements; a vector of indices gives a vector of pointers."""
        result = vector_type("ptr", max(index.lanes, pointer.lanes))
        operands = f"{pointer.type} {pointer.text}, {index.type} {index.text}"
        return self.instruction(result, f"getelementptr {element_type}, {operands}")

    def load(self, type_: str, pointer: Operand, align: int) -> Operand:
        """Load a scalar or a contiguous vector."""
        return self.instruction(type_, f"load {type_}, ptr {pointer.text}, align {align}")

    def store(self, value: Operand, pointer: Operand, align: int) -> None:
        """Store a scalar or a contiguous vector."""
        text = f"store {value.type} {value.text}, ptr {pointer.text}, align {align}"
        self.statement(text)

    def masked_load(
        self,
        type_: str,
        pointer: Operand,
        mask: Operand,
        align: int,
        passthru: Operand | None = None,
    ) -> Operand:
        """Load the lanes where ``mask``; the others are ``passthru`` (zero if not given)."""
        return self._masked_read("load", type_, pointer, mask, align, passthru)

    def gather(
        self,
        type_: str,
        pointers: Operand,
        mask: Operand,
        align: int,
        passthru: Operand | None = None,
    ) -> Operand:
        """Load each lane from its own pointer where ``mask``, else take ``passthru`` (zero)."""
        return self._masked_read("gather", type_, pointers, mask, align, passthru)

    def masked_store(self, value: Operand, pointer: Operand, mask: Operand, align: int) -> None:
        """Store the lanes where ``mask``, contiguously."""
        self._masked_write("store", value, pointer, mask, align)

    def scatter(self, value: Operand, pointers: Operand, mask: Operand, align: int) -> None:
        """Store each lane where ``mask`` to its own pointer, in lane order."""
        self._masked_write("scatter", value, pointers, mask, align)

    def alloca(self, type_: str, count: int, align: int) -> Operand:
        """A stack slot of ``count`` elements, made once in the entry block."""
        name = f"%stack{len(self._allocas)}"
        self._allocas.append(f"  {name} = alloca {type_}, i64 {count}, align {align}")
        return Operand("ptr", name)

    def _one_lane(self, a: Operand) -> Operand:
        """A scalar as <1 x T>, which the masked intrinsics insist on; vectors unchanged."""
        if a.type[0] == "<":
            return a
        kind = f"<1 x {a.type}>"
        return self.instruction(kind, f"insertelement {kind} poison, {a.type} {a.text}, i32 0")

    def _masked_read(
        self,
        kind: str,
        type_: str,
        pointer: Operand,
        mask: Operand,
        align: int,
        passthru: Operand | None,
    ) -> Operand:
        vector = type_ if type_[0] == "<" else f"<1 x {type_}>"
        other = Operand(vector, "zeroinitializer") if passthru is None else passthru
        args = [pointer, self._one_lane(mask), self._one_lane(other)]
        if kind == "gather":
            args[0] = self._one_lane(pointer)
        name = self._masked_name(kind, vector, args)
        rest = ", ".join(f"{a.type} {a.text}" for a in args[1:])
        head = f"{args[0].type} align {align} {args[0].text}"
        result = self.instruction(vector, f"call {vector} @{name}({head}, {rest})")
        return result if vector == type_ else self.extract(result, 0)

    def _masked_write(
        self, kind: str, value: Operand, pointer: Operand, mask: Operand, align: int
    ) -> None:
        args = [self._one_lane(value), pointer, self._one_lane(mask)]
        if kind == "scatter":
            args[1] = self._one_lane(pointer)
        name = self._masked_name(kind, args[0].type, args)
        stored, address, lanes = (f"{a.text}" for a in args)
        where = f"{args[1].type} align {align} {address}"
        self.statement(
            f"call void @{name}({args[0].type} {stored}, {where}, {args[2].type} {lanes})"
        )

    def _masked_name(self, kind: str, vector: str, args: Sequence[Operand]) -> str:
        pointers = next(a.type for a in args if a.type == "ptr" or a.type.endswith("x ptr>"))
        name = f"llvm.masked.{kind}.{intrinsic_suffix(vector)}.{intrinsic_suffix(pointers)}"
        result = vector if kind in ("load", "gather") else "void"
        self.module.declare(name, result, [a.type for a in args])
        return name

    # Vectors

    def splat(self, scalar: Operand, lanes: int) -> Operand:
        """The scalar in every lane; a constant stays one."""
        if lanes == 1:
            return scalar
        kind = vector_type(scalar.type, lanes)
        if scalar.is_constant:
            return Operand(kind, f"splat ({scalar.type} {scalar.text})")
        one = f"insertelement {kind} poison, {scalar.type} {scalar.text}, i32 0"
        first = self.instruction(kind, one)
        mask = f"<{lanes} x i32> zeroinitializer"
        return self.instruction(kind, f"shufflevector {kind} {first.text}, {kind} poison, {mask}")

    def extract(self, v: Operand, i: int) -> Operand:
        """Lane ``i`` as a scalar."""
        if v.type[0] != "<":
            return v
        return self.instruction(v.element, f"extractelement {v.type} {v.text}, i32 {i}")

    def insert(self, v: Operand, s: Operand, i: int) -> Operand:
        """``v`` with lane ``i`` replaced by the scalar ``s``."""
        if v.type[0] != "<":
            return s
        return self.instruction(
            v.type, f"insertelement {v.type} {v.text}, {s.type} {s.text}, i32 {i}"
        )

    def shuffle(self, a: Operand, b: Operand | None, indices: Sequence[int]) -> Operand:
        """Lanes picked from ``a`` then ``b`` (constant indices, -1 for any); needs vectors."""
        assert a.type[0] == "<", a
        if len(indices) == 1:
            return self.extract(a, indices[0])
        second = "poison" if b is None else b.text
        picks = ", ".join([f"i32 {i}" if i >= 0 else "i32 poison" for i in indices])
        mask = f"<{len(indices)} x i32> <{picks}>"
        result = vector_type(a.element, len(indices))
        text = f"shufflevector {a.type} {a.text}, {a.type} {second}, {mask}"
        return self.instruction(result, text)

    def reduce(self, kind: str | Callable[[Operand, Operand], Operand], v: Operand) -> Operand:
        """Combine all lanes by a fixed tree, upper half onto lower half until one is left.

        ``kind`` is an opcode ("fadd", "add", "and", ...), an intrinsic's name ("maximum",
        "smax") or a function of two operands. The tree is the same on every target.
        """
        lanes = v.lanes
        assert lanes & (lanes - 1) == 0, f"reduce needs a power of two lanes, not {v.type}"
        while lanes > 1:
            half = lanes // 2
            low = self.shuffle(v, None, range(half))
            v = self._combine(kind, low, self.shuffle(v, None, range(half, lanes)))
            lanes = half
        return v

    def _combine(
        self, kind: str | Callable[[Operand, Operand], Operand], a: Operand, b: Operand
    ) -> Operand:
        if not isinstance(kind, str):
            return kind(a, b)
        if kind in _OPCODES:
            return self.instruction(a.type, f"{kind} {a.type} {a.text}, {b.text}")
        return self.intrinsic(f"llvm.{kind}", a.type, (a, b), (a.type,))

    # Control flow

    def block(self, hint: str = "block") -> str:
        """Reserve a label; nothing is emitted until ``place``."""
        count = self._labels.get(hint, 0)
        self._labels[hint] = count + 1
        return hint if count == 0 else f"{hint}.{count}"

    def place(self, label: str) -> None:
        """Start the block ``label`` here."""
        self._lines.append(f"{label}:")
        self.current = label

    def br(self, label: str) -> None:
        """Jump."""
        self.statement(f"br label %{label}")

    def cond_br(self, condition: Operand, then: str, otherwise: str) -> None:
        """Jump to ``then`` if the i1 is true."""
        assert condition.type == "i1", condition
        self.statement(f"br i1 {condition.text}, label %{then}, label %{otherwise}")

    def switch(self, value: Operand, default: str, cases: Iterable[tuple[int, str]]) -> None:
        """Jump by an integer's value."""
        arms = " ".join(f"{value.type} {case}, label %{label}" for case, label in cases)
        self.statement(f"switch {value.type} {value.text}, label %{default} [ {arms} ]")

    def phi(self, type_: str, incoming: Iterable[tuple[Operand, str]] = ()) -> Phi:
        """A phi at the head of the current block; its ``.value`` is the operand."""
        self._count += 1
        phi = Phi(Operand(type_, f"%{self._count}"), incoming)
        self._lines.append(phi)
        return phi

    def ret(self, value: Operand | None = None) -> None:
        """Return."""
        self.statement("ret void" if value is None else f"ret {value.type} {value.text}")

    def unreachable(self) -> None:
        """Control never gets here."""
        self.statement("unreachable")


_OPCODES = frozenset(("fadd", "fsub", "fmul", "fdiv", "add", "sub", "mul", "and", "or", "xor"))
