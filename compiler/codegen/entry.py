"""The code of one native entry: check the call, run the program, make the result.

Everything up to the run only looks: a call that is not exactly what the specification says is
declined, and nothing has happened. From then on every reference that the entry owns stands in one
array on the stack, which is given up as a whole on success and on every error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...ir import abi
from ...ir.entry import (
    DECLINED,
    ENTRY_SYMBOL,
    THREADS,
    Argument,
    ArgumentResult,
    ArrayArgument,
    ArrayResult,
    ConstantArgument,
    DictArgument,
    EntrySpec,
    Number,
    NumberArgument,
    NumberResult,
    ObjectResult,
    Result,
    ResultDict,
    ResultLeaf,
    ResultMade,
    ResultObject,
    ResultSequence,
    ResultTree,
    ScalarArgument,
    ScalarResult,
    SequenceArgument,
    ViewResult,
    Word,
)
from ..target import Target
from .assembly import Module, Operand
from .entry_support import CALL, emit_support
from .objects import NULL, ObjectCode


def entry_object(spec: EntrySpec, target: Target) -> bytes:
    """Object code of the entry for `spec`."""
    module = _module("entry", target)
    EntryEmitter(module, spec).emit()
    return target.quick_object(module.text())


def support_object(target: Target) -> bytes:
    """Object code of the routines that all entries share."""
    module = _module("support", target)
    emit_support(module)
    return target.quick_object(module.text())


def _module(name: str, target: Target) -> Module:
    layout = str(target.machine().target_data)
    return Module(f"tapeless.{name}", target.triple, layout, target.cpu, target.features)


class EntryEmitter:
    """Emits one entry into `module`."""

    def __init__(self, module: Module, spec: EntrySpec) -> None:
        self.spec = spec
        self.b = b = module.function(ENTRY_SYMBOL, "ptr", (("ptr", "context", ""), *CALL))
        self.o = ObjectCode(b)
        self.context, self.args, self.count, self.names = b.params
        self.decline, self.broken = b.block("decline"), b.block("broken")
        self.leaves: dict[int, Operand] = {}
        self.nested: list[Operand] = []
        self.containers: dict[int, Operand] = {}
        self._owned_count = 0
        self._depth = 0

    def emit(self) -> None:
        """The whole function."""
        b, spec = self.b, self.spec
        self.owned = b.alloca("ptr", max(1, _most_owned(spec)), 8)
        self._check_form()
        self.table = self._word(Word.TABLE)
        for position, argument in enumerate(spec.arguments):
            self._argument(self.o.item("ptr", self.args, position), argument)
        self._check_captured()
        self._check_disjoint()
        self._clear_owned()
        self._hold()
        made = self._new_arrays()
        self._run()
        results = [self._read(result, made) for result in spec.results]
        results = [self._view(r, found) for r, found in zip(spec.results, results, strict=True)]
        self._write(results)
        self._leave(self._build(spec.structure, results))
        self._fail()

    def _word(self, index: int, type_: str = "ptr") -> Operand:
        """A word of the context."""
        return self.o.item(type_, self.context, index)

    def _place(self, index: int) -> Operand:
        """The address of a word of the context."""
        return self.o.place(self.context, index)

    # -- checks: nothing is changed but the buffer table -------------------------------------------

    def _check_form(self) -> None:
        spec, b, o = self.spec, self.b, self.o
        o.require(o.equal(self.count, spec.positional), self.decline)
        if spec.parallel:
            threads = o.item("i64", o.object(THREADS), 0)
            same = b.icmp("eq", threads, self._word(Word.THREADS, "i64"))
            o.require(same, self.decline)
        if spec.names.count:
            names = self._place(spec.names.word), o.integer(spec.names.count)
            o.require(b.call("tapeless_names", "i1", (self.names, *names)), self.decline)
        else:
            o.require(o.is_null(self.names), self.decline)
        if spec.check_word is not None:
            self._check_in_python(spec.check_word)
        if spec.watched.count:
            span = o.integer(spec.watched.word), o.integer(spec.watched.count)
            o.require(b.call("tapeless_watch", "i1", (self.context, *span)), self.decline)
        if spec.releases_lock:  # from here on no Python code runs, so that this stays true
            o.require(o.equal(self._word(Word.BUSY, "i64"), 0), self.decline)

    def _check_in_python(self, word: int) -> None:
        """Ask the callable at `word`, which returns a bool."""
        b, o = self.b, self.o
        error, answered = b.block("error"), b.block("answered")
        nothing = o.integer(0)
        answer = o.call("PyObject_Vectorcall", self._word(word), NULL, nothing, NULL)
        b.cond_br(o.is_null(answer), error, answered)
        b.place(error)
        o.call("PyErr_Clear")
        b.br(self.decline)
        b.place(answered)
        o.call("Py_DecRef", answer)
        o.require(b.icmp("eq", answer, o.object("_Py_TrueStruct")), self.decline)

    def _argument(self, value: Operand, argument: Argument) -> None:
        _ARGUMENTS[type(argument)](self, value, argument)

    def _children(self, values: Operand, children: Sequence[Argument]) -> None:
        self._depth += 1
        for index, child in enumerate(children):
            self._argument(self.o.item("ptr", values, index), child)
        self._depth -= 1

    def _array(self, value: Operand, argument: ArrayArgument) -> None:
        b, o = self.b, self.o
        shape = self._place(argument.shape_word)
        o.require(b.call("tapeless_array", "i1", (value, shape)), self.decline)
        self.leaves[argument.leaf] = value
        if argument.buffer is not None:
            o.put(o.field("ptr", value, abi.ARRAY_DATA), self.table, argument.buffer)
            if self._depth:
                self.nested.append(value)

    def _number(self, value: Operand, argument: NumberArgument) -> None:
        type_, read, align = _NUMBERS[argument.number]
        self.o.require(self.o.has_type(value, self.o.object(type_)), self.decline)
        self.leaves[argument.leaf] = value
        number = read(self, value)
        if argument.bounds is not None:
            for order, bound in zip(("sge", "sle"), argument.bounds, strict=True):
                limit = self.o.integer(bound)
                self.o.require(self.b.icmp(order, number, limit), self.decline)
        if argument.buffer is not None:
            self.b.store(number, self.o.item("ptr", self.table, argument.buffer), align)

    def _float(self, value: Operand) -> Operand:
        return self.o.field("double", value, abi.SCALAR_VALUE)

    def _int(self, value: Operand) -> Operand:
        overflow = self.b.alloca("i32", 1, 4)
        number = self.o.call("PyLong_AsLongLongAndOverflow", value, overflow)
        self.o.require(self.o.equal(self.b.load("i32", overflow, 4), 0), self.decline)
        return number

    def _bool(self, value: Operand) -> Operand:
        truth = self.b.icmp("eq", value, self.o.object("_Py_TrueStruct"))
        return self.b.cast("zext", truth, "i8")

    def _scalar(self, value: Operand, argument: ScalarArgument) -> None:
        b, o = self.b, self.o
        o.require(o.has_type(value, self._word(argument.type_word)), self.decline)
        self.leaves[argument.leaf] = value
        if argument.buffer is not None:
            bits = o.field(f"i{8 * argument.nbytes}", value, abi.SCALAR_VALUE)
            b.store(bits, o.item("ptr", self.table, argument.buffer), argument.nbytes)

    def _constant(self, value: Operand, argument: ConstantArgument) -> None:
        same = self.b.icmp("eq", value, self._word(argument.word))
        self.o.require(same, self.decline)

    def _dict(self, value: Operand, argument: DictArgument) -> None:
        b, o = self.b, self.o
        o.require(o.has_type(value, o.object("PyDict_Type")), self.decline)
        count = len(argument.children)
        values = b.alloca("ptr", max(1, count), 8)
        keys = self._place(argument.keys_word)
        same = b.call("tapeless_keys", "i1", (value, keys, o.integer(count), values))
        o.require(same, self.decline)
        if argument.write is not None:
            self.containers[argument.write] = value
        self._children(values, argument.children)

    def _sequence(self, value: Operand, argument: SequenceArgument) -> None:
        o = self.o
        o.require(o.has_type(value, self._word(argument.type_word)), self.decline)
        size = o.field("i64", value, abi.SIZE)
        o.require(o.equal(size, len(argument.children)), self.decline)
        if argument.write is not None:
            self.containers[argument.write] = value
        if argument.is_list:
            items = o.field("ptr", value, abi.LIST_ITEMS)
        else:
            items = o.at(value, abi.TUPLE_ITEMS)
        self._children(items, argument.children)

    def _check_captured(self) -> None:
        for captured in self.spec.captured:
            self._argument(self._word(captured.word), captured.array)

    def _check_disjoint(self) -> None:
        b, o, spec = self.b, self.o, self.spec
        for target, source in spec.in_place:
            o.put(o.item("ptr", self.table, source), self.table, target)
        if spec.regions.count:
            span = self._place(spec.regions.word), o.integer(spec.regions.count)
            o.require(b.call("tapeless_disjoint", "i1", (self.table, *span)), self.decline)

    # -- references that the entry owns ------------------------------------------------------------

    def _clear_owned(self) -> None:
        for index in range(_most_owned(self.spec)):
            self.o.put(NULL, self.owned, index)

    def _own(self, made: Operand) -> Operand:
        """Take over a new reference; null means that an exception is set."""
        self.o.put(made, self.owned, self._owned_count)
        self._owned_count += 1
        self.o.avoid(self.o.is_null(made), self.broken)
        return made

    def _share(self, value: Operand) -> Operand:
        """Hold a reference to a borrowed object."""
        self.o.call("Py_IncRef", value)
        self.o.put(value, self.owned, self._owned_count)
        self._owned_count += 1
        return value

    def _hold(self) -> None:
        """Containers that are changed; and arrays in containers, while other threads may run."""
        for container in self.containers.values():
            self._share(container)
        if self.spec.releases_lock:
            for array in self.nested:
                self._share(array)

    def _new_arrays(self) -> list[Operand]:
        made = []
        for new in self.spec.new:
            displaced = self.o.place(self.owned, self._owned_count)
            self._owned_count += 1
            places = self._place(new.word), displaced
            array = self._own(self.b.call("tapeless_output", "ptr", places))
            self.o.put(self.o.field("ptr", array, abi.ARRAY_DATA), self.table, new.buffer)
            made.append(array)
        return made

    # -- the run -----------------------------------------------------------------------------------

    def _run(self) -> None:
        b, o = self.b, self.o
        program, arena = self._word(Word.PROGRAM), self._word(Word.ARENA)
        thread = NULL
        if self.spec.releases_lock:
            o.put(o.integer(1), self.context, Word.BUSY)
            thread = o.call("PyEval_SaveThread")
        status = b.call(program, "i64", (self.table, arena))
        if self.spec.releases_lock:
            o.call("PyEval_RestoreThread", thread)
            o.put(o.integer(0), self.context, Word.BUSY)
        failed, done = b.block("failed"), b.block("done")
        b.cond_br(o.equal(status, 0), done, failed)
        b.place(failed)
        number = o.call("PyLong_FromLongLong", status)
        o.avoid(o.is_null(number), self.broken)
        answer = self._call_with(self._word(Word.FAILED), number)
        o.call("Py_DecRef", number)
        o.call("Py_DecRef", answer)
        b.br(self.broken)
        b.place(done)
        for copy in self.spec.copies:
            places = [o.item("ptr", self.table, p) for p in (copy.target, copy.source)]
            args = (*places, o.integer(copy.nbytes), b.const("i1", False))
            b.call("llvm.memmove.p0.p0.i64", "void", args)

    def _call_with(self, function: Operand, argument: Operand) -> Operand:
        """Call a Python function with one argument; a new reference, or null."""
        room = self.b.alloca("ptr", 1, 8)
        self.o.put(argument, room, 0)
        return self.o.call("PyObject_Vectorcall", function, room, self.o.integer(1), NULL)

    # -- results -----------------------------------------------------------------------------------

    def _read(self, result: Result, made: list[Operand]) -> Operand:
        """The object that `result` is, before any view is applied; no Python code runs."""
        if isinstance(result, ViewResult):
            return self._read(result.of, made)
        if isinstance(result, ArrayResult):
            return made[result.new]
        if isinstance(result, ArgumentResult):
            return self._share(self.leaves[result.leaf])
        if isinstance(result, ObjectResult):
            return self._share(self._word(result.word))
        place = self.o.item("ptr", self.table, result.buffer)
        if isinstance(result, ScalarResult):
            return self._own(self.o.call("PyArray_Scalar", place, self._word(result.word), NULL))
        assert isinstance(result, NumberResult), result
        return self._own(_BOXES[result.number](self, place))

    def _box_float(self, place: Operand) -> Operand:
        return self.o.call("PyFloat_FromDouble", self.b.load("double", place, 8))

    def _box_int(self, place: Operand) -> Operand:
        return self.o.call("PyLong_FromLongLong", self.b.load("i64", place, 8))

    def _box_bool(self, place: Operand) -> Operand:
        false, true = (self.o.object(f"_Py_{name}Struct") for name in ("False", "True"))
        truth = self.b.select(self.o.equal(self.b.load("i8", place, 1), 0), false, true)
        self.o.call("Py_IncRef", truth)
        return truth

    def _view(self, result: Result, found: Operand) -> Operand:
        if not isinstance(result, ViewResult):
            return found
        return self._own(self._call_with(self._word(result.word), found))

    def _write(self, results: Sequence[Operand]) -> None:
        """Bind entries of the caller's containers."""
        b, o = self.b, self.o
        for write in self.spec.writes:
            container, value = self.containers[write.container], results[write.result]
            if write.key_word is None:
                o.call("Py_IncRef", value)
                status = o.call("PyList_SetItem", container, o.integer(write.index), value)
            else:
                status = o.call("PyDict_SetItem", container, self._word(write.key_word), value)
            o.require(b.icmp("eq", status, b.const("i32", 0)), self.broken)

    def _build(self, tree: ResultTree, results: Sequence[Operand]) -> Operand:
        """The object for `tree`, held by the array of what the entry owns or by its results."""
        b, o = self.b, self.o
        if isinstance(tree, ResultLeaf):
            return results[tree.result]
        if isinstance(tree, ResultObject):
            return self._word(tree.word)
        if isinstance(tree, ResultMade):
            leaves = ResultSequence(True, tuple(ResultLeaf(leaf) for leaf in tree.leaves))
            listed = self._build(leaves, results)
            return self._own(self._call_with(self._word(tree.word), listed))
        parts = [self._build(child, results) for child in tree.children]
        if isinstance(tree, ResultDict):
            made = self._own(o.call("PyDict_New"))
            for index, part in enumerate(parts):
                status = o.call("PyDict_SetItem", made, self._word(tree.keys_word + index), part)
                o.require(b.icmp("eq", status, b.const("i32", 0)), self.broken)
            return made
        size = o.integer(len(parts))
        made = self._own(o.call("PyList_New" if tree.is_list else "PyTuple_New", size))
        items = o.at(made, abi.TUPLE_ITEMS)
        if tree.is_list and parts:
            items = o.field("ptr", made, abi.LIST_ITEMS)
        for index, part in enumerate(parts):
            o.call("Py_IncRef", part)
            o.put(part, items, index)
        return made

    # -- the ways out ------------------------------------------------------------------------------

    def _leave(self, result: Operand) -> None:
        b, o = self.b, self.o
        hits = b.add(self._word(Word.HITS, "i64"), o.integer(1))
        o.put(hits, self.context, Word.HITS)
        o.call("Py_IncRef", result)
        self._drop()
        b.ret(result)

    def _fail(self) -> None:
        self.b.place(self.broken)
        self._drop()
        self.b.ret(NULL)
        self.b.place(self.decline)
        self.b.ret(self.b.cast("inttoptr", self.o.integer(DECLINED), "ptr"))

    def _drop(self) -> None:
        assert self._owned_count <= _most_owned(self.spec), self.spec
        if self._owned_count:
            count = self.o.integer(self._owned_count)
            self.b.call("tapeless_drop", "void", (self.owned, count))


_ARGUMENTS: dict[type, Callable[[EntryEmitter, Operand, Any], None]] = {
    ArrayArgument: EntryEmitter._array,
    NumberArgument: EntryEmitter._number,
    ScalarArgument: EntryEmitter._scalar,
    ConstantArgument: EntryEmitter._constant,
    DictArgument: EntryEmitter._dict,
    SequenceArgument: EntryEmitter._sequence,
}

_NUMBERS = {
    Number.FLOAT: ("PyFloat_Type", EntryEmitter._float, 8),
    Number.INT: ("PyLong_Type", EntryEmitter._int, 8),
    Number.BOOL: ("PyBool_Type", EntryEmitter._bool, 1),
}
"""The type of a Python number, how its value is read, and its alignment."""

_BOXES = {
    Number.FLOAT: EntryEmitter._box_float,
    Number.INT: EntryEmitter._box_int,
    Number.BOOL: EntryEmitter._box_bool,
}


def _most_owned(spec: EntrySpec) -> int:
    """How many references the entry owns at most."""
    arguments = [argument for root in spec.arguments for argument in _walk(root)]
    held = sum(isinstance(a, ArrayArgument) for a in arguments) if spec.releases_lock else 0
    changed = sum(getattr(a, "write", None) is not None for a in arguments)
    results = sum(1 + isinstance(result, ViewResult) for result in spec.results)
    return held + changed + 2 * len(spec.new) + results + _containers(spec.structure)


def _walk(argument: Argument) -> Iterator[Argument]:
    yield argument
    for child in getattr(argument, "children", ()):
        yield from _walk(child)


def _containers(tree: ResultTree) -> int:
    """How many objects are made for `tree`."""
    if isinstance(tree, ResultLeaf | ResultObject):
        return 0
    if isinstance(tree, ResultMade):
        return 2
    return 1 + sum(_containers(child) for child in tree.children)
