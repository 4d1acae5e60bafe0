"""The routines that all native entries share: finding the entry for a call, and its larger checks.

They are compiled once in a process. None of them runs Python code, but for `dispatch`.
"""

from __future__ import annotations

from ...ir import abi
from ...ir.entry import (
    ACTIVE_TRACES,
    DECLINED,
    DISPATCH_SYMBOL,
    SLOW_PATH,
    Output,
    Region,
    Shape,
    Watch,
    Word,
)
from .assembly import Function, Module, Operand
from .objects import NULL, ObjectCode

CALL = (("ptr", "args", ""), ("i64", "count", ""), ("ptr", "names", ""))
"""The arguments of a fast call, behind `self` or a context."""

_YES, _NO = Operand("i1", "true"), Operand("i1", "false")


def emit_support(module: Module) -> None:
    """Add all support routines to `module`."""
    _same(module)
    _array(module)
    _keys(module)
    _names(module)
    _watch(module)
    _disjoint(module)
    _output(module)
    _drop(module)
    _dispatch(module)


def _start(
    module: Module, name: str, result: str, *params: tuple[str, str]
) -> tuple[Function, ObjectCode, tuple[Operand, ...]]:
    b = module.function(f"tapeless_{name}", result, [(kind, p, "") for kind, p in params])
    return b, ObjectCode(b), b.params


def _check(
    module: Module, name: str, *params: tuple[str, str]
) -> tuple[Function, ObjectCode, tuple[Operand, ...], str]:
    """A routine that returns whether all is well, and its block for when it is not."""
    b, o, operands = _start(module, name, "i1", *params)
    fail, begin = b.block("fail"), b.block("begin")
    b.br(begin)
    b.place(fail)
    b.ret(_NO)
    b.place(begin)
    return b, o, operands, fail


def _same(module: Module) -> None:
    """Whether two keys are one object or equal strings."""
    b, o, (x, y), fail = _check(module, "same", ("ptr", "x"), ("ptr", "y"))
    same, differ = b.block("same"), b.block("differ")
    b.cond_br(b.icmp("eq", x, y), same, differ)
    b.place(same)
    b.ret(_YES)
    b.place(differ)
    for key in (x, y):
        o.require(o.has_type(key, o.object("PyUnicode_Type")), fail)
    b.ret(o.equal(o.call("PyUnicode_Compare", x, y), 0))


def _array(module: Module) -> None:
    """Whether an object is a `numpy.ndarray` that fits a `Shape`."""
    b, o, (x, shape), fail = _check(module, "array", ("ptr", "x"), ("ptr", "shape"))
    o.require(o.has_type(x, o.object(abi.ARRAY_TYPE)), fail)
    flags = b.cast("zext", o.field("i32", x, abi.ARRAY_FLAGS), "i64")
    masked = b.and_(flags, o.item("i64", shape, Shape.MASK))
    o.require(b.icmp("eq", masked, o.item("i64", shape, Shape.FLAGS)), fail)
    rank = b.cast("sext", o.field("i32", x, abi.ARRAY_RANK), "i64")
    o.require(b.icmp("eq", rank, o.item("i64", shape, Shape.RANK)), fail)
    descr = o.field("ptr", x, abi.ARRAY_DESCR)
    other, known = b.block("other"), b.block("known")
    b.cond_br(b.icmp("eq", descr, o.item("ptr", shape, Shape.DESCR)), known, other)
    b.place(other)
    number = b.cast("sext", o.field("i32", descr, abi.DESCR_NUMBER), "i64")
    o.require(b.icmp("eq", number, o.item("i64", shape, Shape.NUMBER)), fail)
    order = o.field("i8", descr, abi.DESCR_BYTE_ORDER)
    native = [o.equal(order, character) for character in abi.NATIVE_ORDER]
    o.require(b.or_(*native), fail)
    b.br(known)
    b.place(known)
    extents = o.field("ptr", x, abi.ARRAY_SHAPE)
    expected = o.item("ptr", shape, Shape.EXTENTS)
    with o.loop(rank) as i:
        o.require(b.icmp("eq", o.item("i64", extents, i), o.item("i64", expected, i)), fail)
    b.ret(_YES)


def _keys(module: Module) -> None:
    """Whether a dict has just these keys in this order; its values go to `values`."""
    params = ("ptr", "x"), ("ptr", "keys"), ("i64", "count"), ("ptr", "values")
    b, o, (x, keys, count, values), fail = _check(module, "keys", *params)
    position, key = b.alloca("i64", 1, 8), b.alloca("ptr", 1, 8)
    o.put(o.integer(0), position, 0)
    o.require(b.icmp("eq", o.call("PyDict_Size", x), count), fail)
    with o.loop(count) as i:
        more = o.call("PyDict_Next", x, position, key, o.place(values, i))
        o.avoid(o.equal(more, 0), fail)
        same = b.call("tapeless_same", "i1", (o.item("ptr", key, 0), o.item("ptr", keys, i)))
        o.require(same, fail)
    b.ret(_YES)


def _names(module: Module) -> None:
    """Whether the keywords of a call are these, in this order."""
    params = ("ptr", "given"), ("ptr", "names"), ("i64", "count")
    b, o, (given, names, count), fail = _check(module, "names", *params)
    o.avoid(o.is_null(given), fail)
    o.require(b.icmp("eq", o.field("i64", given, abi.SIZE), count), fail)
    items = o.at(given, abi.TUPLE_ITEMS)
    with o.loop(count) as i:
        same = b.call("tapeless_same", "i1", (o.item("ptr", items, i), o.item("ptr", names, i)))
        o.require(same, fail)
    b.ret(_YES)


def _watch(module: Module) -> None:
    """Whether `count` watched places from `word` of a context on hold what they did."""
    params = ("ptr", "context"), ("i64", "word"), ("i64", "count")
    b, o, (context, word, count), fail = _check(module, "watch", *params)
    records = o.place(context, word)
    position, pair = b.alloca("i64", 1, 8), b.alloca("ptr", 2, 8)
    with o.loop(count) as i:
        record = o.place(records, b.mul(i, o.integer(4)))
        kinds = {kind: b.block(kind.name.lower()) for kind in Watch}
        bound, good = b.block("bound"), b.block("good")
        holder, detail = o.item("ptr", record, 1), o.item("ptr", record, 2)
        arms = [(int(kind), label) for kind, label in kinds.items()]
        b.switch(o.item("i64", record, 0), fail, arms)
        found = []
        for kind, read in _READS.items():
            b.place(kinds[kind])
            found.append((read(o, holder, detail, fail), b.current))
            b.br(bound)
        b.place(kinds[Watch.DICT])
        _watch_dict(o, context, record, (position, pair), fail)
        b.br(good)
        b.place(kinds[Watch.LIST])
        _watch_list(o, context, record, fail)
        b.br(good)
        b.place(bound)
        value = b.phi("ptr", found).value
        b.cond_br(b.icmp("eq", value, o.item("ptr", record, 3)), good, fail)
        b.place(good)
    b.ret(_YES)


def _read_cell(o: ObjectCode, cell: Operand, _: Operand, fail: str) -> Operand:
    return o.field("ptr", cell, abi.CELL_VALUE)


def _read_item(o: ObjectCode, holder: Operand, key: Operand, fail: str) -> Operand:
    """An entry of a dict; null, with an error perhaps, when there is none."""
    found = o.call("PyDict_GetItemWithError", holder, key)
    missing, present = o.b.block("missing"), o.b.block("present")
    o.b.cond_br(o.is_null(found), missing, present)
    o.b.place(missing)
    o.call("PyErr_Clear")
    o.b.br(fail)
    o.b.place(present)
    return found


def _read_entry(o: ObjectCode, holder: Operand, index: Operand, fail: str) -> Operand:
    place = o.b.cast("ptrtoint", index, "i64")
    o.require(o.b.icmp("slt", place, o.field("i64", holder, abi.SIZE)), fail)
    return o.item("ptr", o.field("ptr", holder, abi.LIST_ITEMS), place)


def _read_defaults(o: ObjectCode, function: Operand, _: Operand, fail: str) -> Operand:
    return o.call("PyFunction_GetDefaults", function)


_READS = {
    Watch.CELL: _read_cell,
    Watch.ITEM: _read_item,
    Watch.ENTRY: _read_entry,
    Watch.DEFAULTS: _read_defaults,
}


def _watch_dict(
    o: ObjectCode, context: Operand, record: Operand, room: tuple[Operand, Operand], fail: str
) -> None:
    """Keys and values of a dict, all of them the same objects in the same order."""
    b, (position, pair) = o.b, room
    holder, count = o.item("ptr", record, 1), o.item("i64", record, 3)
    items = o.place(context, o.item("i64", record, 2))
    o.put(o.integer(0), position, 0)
    o.require(b.icmp("eq", o.call("PyDict_Size", holder), count), fail)
    with o.loop(count) as i:
        more = o.call("PyDict_Next", holder, position, pair, o.place(pair, 1))
        o.avoid(o.equal(more, 0), fail)
        expected = o.place(items, b.mul(i, o.integer(2)))
        for part in range(2):
            same = b.icmp("eq", o.item("ptr", pair, part), o.item("ptr", expected, part))
            o.require(same, fail)


def _watch_list(o: ObjectCode, context: Operand, record: Operand, fail: str) -> None:
    holder, count = o.item("ptr", record, 1), o.item("i64", record, 3)
    items = o.place(context, o.item("i64", record, 2))
    o.require(o.b.icmp("eq", o.field("i64", holder, abi.SIZE), count), fail)
    found = o.field("ptr", holder, abi.LIST_ITEMS)
    with o.loop(count) as i:
        o.require(o.b.icmp("eq", o.item("ptr", found, i), o.item("ptr", items, i)), fail)


def _disjoint(module: Module) -> None:
    """Whether no updated array overlaps another one, the addresses being in `table`.

    Arrays that lie where they were found disjoint from each other before are only compared with
    those that have moved since.
    """
    params = ("ptr", "table"), ("ptr", "regions"), ("i64", "count")
    b, o, (table, regions, count), fail = _check(module, "disjoint", *params)

    def region(index: Operand) -> tuple[Operand, Operand]:
        record = o.place(regions, b.mul(index, o.integer(Region.WORDS)))
        return record, o.item("i64", table, o.item("i64", record, Region.BUFFER))

    with o.loop(count) as i:
        one, start = region(i)
        moved, still = b.block("moved"), b.block("still")
        b.cond_br(b.icmp("eq", start, o.item("i64", one, Region.KNOWN)), still, moved)
        b.place(moved)
        end = b.add(start, o.item("i64", one, Region.BYTES))
        with o.loop(count) as j:
            other, other_start = region(j)
            written = b.or_(
                o.item("i64", one, Region.WRITTEN), o.item("i64", other, Region.WRITTEN)
            )
            other_end = b.add(other_start, o.item("i64", other, Region.BYTES))
            meet = b.and_(b.icmp("ult", start, other_end), b.icmp("ult", other_start, end))
            both = b.and_(b.icmp("ne", i, j), b.icmp("ne", written, o.integer(0)))
            o.avoid(b.and_(meet, both), fail)
        b.br(still)
        b.place(still)
    with o.loop(count) as i:
        one, start = region(i)
        o.put(start, one, Region.KNOWN)
    b.ret(_YES)


def _output(module: Module) -> None:
    """A new reference to an array for an `Output`: one that the caller has dropped, or a new one.

    An array is free when only the context holds it, nothing refers to it weakly, and it is still
    as it was made. The reference to an array that gives its place to another is stored at
    `displaced`: giving it up now might run Python code, such as the callback of a weak reference.
    """
    params = ("ptr", "output"), ("ptr", "displaced")
    b, o, (output, displaced) = _start(module, "output", "ptr", *params)
    shape = o.place(output, Output.SHAPE)
    turn = o.item("i64", output, Output.NEXT)
    for place in (turn, b.xor(turn, o.integer(1))):
        busy = b.block("busy")
        known = o.item("ptr", output, place)
        o.avoid(o.is_null(known), busy)
        o.require(o.equal(o.field("i32", known, abi.REFERENCES), 1), busy)
        o.require(o.is_null(o.field("ptr", known, abi.ARRAY_WEAK)), busy)
        o.require(o.is_null(o.field("ptr", known, abi.ARRAY_BASE)), busy)
        o.require(b.call("tapeless_array", "i1", (known, shape)), busy)
        o.call("Py_IncRef", known)
        o.put(b.xor(place, o.integer(1)), output, Output.NEXT)
        b.ret(known)
        b.place(busy)
    descr = o.item("ptr", shape, Shape.DESCR)
    o.call("Py_IncRef", descr)
    rank = b.cast("trunc", o.item("i64", shape, Shape.RANK), "i32")
    extents, no_flags = o.item("ptr", shape, Shape.EXTENTS), b.const("i32", 0)
    kind = o.object(abi.ARRAY_TYPE)
    made = o.call("PyArray_NewFromDescr", kind, descr, rank, extents, NULL, NULL, no_flags, NULL)
    failed = b.block("failed")
    o.avoid(o.is_null(made), failed)
    o.put(o.item("ptr", output, turn), displaced, 0)
    o.call("Py_IncRef", made)
    o.put(made, output, turn)
    o.put(b.xor(turn, o.integer(1)), output, Output.NEXT)
    b.ret(made)
    b.place(failed)
    b.ret(NULL)


def _drop(module: Module) -> None:
    """Give up the references in an array of `count`; null ones are skipped."""
    b, o, (owned, count) = _start(module, "drop", "void", ("ptr", "owned"), ("i64", "count"))
    with o.loop(count) as i:
        o.call("Py_DecRef", o.item("ptr", owned, i))
    b.ret()


def _dispatch(module: Module) -> None:
    """`CompiledFunction.__call__`: try the entries in the chain of `self`, else the Python path."""
    b = module.function(DISPATCH_SYMBOL, "ptr", (("ptr", "self", ""), *CALL))
    o = ObjectCode(b)
    self, *call = b.params
    slow = b.block("slow")
    active = o.item("i64", o.object(ACTIVE_TRACES), 0)
    o.require(o.equal(active, 0), slow)
    chain = o.field("ptr", self, abi.SLOT)
    o.avoid(o.is_null(chain), slow)
    entries = o.field("ptr", chain, abi.ARRAY_DATA)
    before, head, done = b.current, b.block("head"), b.block("done")
    b.br(head)
    b.place(head)
    index = b.phi("i64", [(o.integer(0), before)])
    context = o.item("ptr", entries, index.value)
    o.avoid(o.is_null(context), slow)
    owner = o.item("ptr", context, Word.OWNER)
    o.call("Py_IncRef", owner)
    result = b.call(o.item("ptr", context, Word.CODE), "ptr", (context, *call))
    o.call("Py_DecRef", owner)
    declined = o.equal(b.cast("ptrtoint", result, "i64"), DECLINED)
    index.add(b.add(index.value, o.integer(1)), b.current)
    b.cond_br(declined, head, done)
    b.place(done)
    _advance(o, entries, index.value, context)
    b.ret(result)
    b.place(slow)
    method = o.call("PyMethod_New", o.object(SLOW_PATH), self)
    failed = b.block("failed")
    o.avoid(o.is_null(method), failed)
    answer = o.call("PyObject_Vectorcall", method, *call)
    o.call("Py_DecRef", method)
    b.ret(answer)
    b.place(failed)
    b.ret(NULL)


def _advance(o: ObjectCode, entries: Operand, index: Operand, context: Operand) -> None:
    """Move the entry that did the call one place up, if it is still where it was."""
    b, stay = o.b, o.b.block("stay")
    o.avoid(o.equal(index, 0), stay)
    o.require(b.icmp("eq", o.item("ptr", entries, index), context), stay)
    above = b.sub(index, o.integer(1))
    o.put(o.item("ptr", entries, above), entries, index)
    o.put(context, entries, above)
    b.br(stay)
    b.place(stay)
