"""A static-graph compiler with ahead-of-time differentiation, in one file.

    python examples/autodidact.py

The core idea of tapeless, rebuilt small enough to read in one sitting. A NumPy training step is

    traced           into a list of nodes, each one operation on arrays,
    differentiated   by appending more nodes to the same list,
    simplified       by rules that leave every value as it was,
    fused            by choosing which nodes get memory; the rest is computed where it is read,
    compiled         to one native routine, which every later call reuses.

The same nodes can also be executed as they are recorded and thrown away after the step: that is
the dynamic graph. Chapter 8 checks one against the other and compares the time.
"""

import ctypes
from collections import Counter, namedtuple
from functools import partial, reduce
from timeit import default_timer, timeit
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

# --- 1. The language ------------------------------------------------------------------------------
# A program is a list of nodes and the numbers of those that it returns. A node's name is its
# position: operands come before their readers. All elements are float64, so a type is a shape.

Graph = namedtuple("Graph", "nodes outputs")


class Node(NamedTuple):
    """One operation: what it does, to which earlier nodes, and the shape of its result."""

    op: str
    inputs: tuple[int, ...]
    attrs: tuple
    shape: tuple[int, ...]


class Op(NamedTuple):
    """Everything there is to know about an operation."""

    reference: Any  # what it computes, said in NumPy: (*arrays, *attrs) -> array
    derivative: tuple = ()  # per operand: (g, ans, *operands, *attrs) -> its share of gradient g
    instruction: str = ""  # of elementwise operations: its name in llvmlite


# Elementwise operations take equal shapes, because broadcasting is an operation of its own. `sum`
# folds an axis and `broadcast` makes one: each is the derivative of the other.
# fmt: off
OPS = {
    "input":    Op(None),
    "constant": Op(lambda value, shape: np.full(shape, value)),
    "neg":  Op(np.negative, (lambda g, ans, x: -g,), "fneg"),
    "exp":  Op(np.exp,      (lambda g, ans, x: g * ans,), "llvm.exp"),
    "log":  Op(np.log,      (lambda g, ans, x: g / x,), "llvm.log"),
    "tanh": Op(np.tanh,     (lambda g, ans, x: g * (1 - ans * ans),), "llvm.tanh"),
    "add":  Op(np.add,      (lambda g, ans, x, y: g,     lambda g, ans, x, y: g), "fadd"),
    "sub":  Op(np.subtract, (lambda g, ans, x, y: g,     lambda g, ans, x, y: -g), "fsub"),
    "mul":  Op(np.multiply, (lambda g, ans, x, y: g * y, lambda g, ans, x, y: g * x), "fmul"),
    "div":  Op(np.divide,  (lambda g, ans, x, y: g / y, lambda g, ans, x, y: g * -ans / y), "fdiv"),
    "dot":  Op(np.matmul,   (lambda g, ans, x, y: g @ y.T, lambda g, ans, x, y: x.T @ g)),
    "transpose": Op(np.transpose, (lambda g, ans, x: g.T,)),
    "sum":  Op(lambda x, axis: np.sum(x, axis=axis),
               (lambda g, ans, x, axis: g.emit("broadcast", axis, x.shape[axis]),)),
    "broadcast": Op(lambda x, axis, extent: np.repeat(np.expand_dims(x, axis), extent, axis),
               (lambda g, ans, x, axis, extent: g.emit("sum", axis),)),
}
# fmt: on
UFUNCS = {op.reference: name for name, op in OPS.items() if isinstance(op.reference, np.ufunc)}

# --- 2. Tracing -----------------------------------------------------------------------------------
# To see what a function does, call it with stand-ins for its arrays: what is done to them is
# executed and recorded. A dynamic graph keeps the values, a static graph keeps the nodes.


class Trace:
    """A program while it is being written down, with the values of its nodes for these inputs."""

    def __init__(self, function, arrays):
        self.nodes, self.values = [], []
        inputs = [self.emit("input", (), i, value=array) for i, array in enumerate(arrays)]
        self.outputs = [result.number for result in function(*inputs)]

    def emit(self, op, operands, *attrs, value=None):
        """Execute an operation (which is when NumPy checks the shapes) and record it."""
        inputs = tuple(x.number for x in operands)
        if value is None:
            value = OPS[op].reference(*(self.values[i] for i in inputs), *attrs)
        self.nodes.append(Node(op, inputs, attrs, value.shape))
        self.values.append(value)
        return Array(self, len(self.nodes) - 1)

    def spread(self, x, shape):
        """An operand in the shape of the result: numbers become constants, arrays are repeated."""
        if not isinstance(x, Array):
            return self.emit("constant", (), float(x), shape)
        missing = shape[: len(shape) - len(x.shape)]
        if missing + x.shape != shape:
            raise TypeError(f"axes of extent 1 are not repeated: {x.shape} to {shape}")
        return reduce(lambda y, extent: y.emit("broadcast", 0, extent), reversed(missing), x)


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """The stand-in: NumPy hands all functions and operators that meet one to the methods below."""

    def __init__(self, trace, number):
        self.trace, self.number, self.shape = trace, number, trace.nodes[number].shape
        self.emit = lambda op, *attrs: trace.emit(op, [self], *attrs)

    T = property(lambda self: self.emit("transpose"))

    def __array_ufunc__(self, ufunc, method, *operands, **options):
        if ufunc not in UFUNCS or method != "__call__" or options:
            raise TypeError(f"this compiler does not know {ufunc} {method} {options or ''}")
        if ufunc is np.matmul and [len(x.shape) for x in operands] != [2, 2]:
            raise TypeError(f"products are of two matrices, not {[x.shape for x in operands]}")
        if ufunc is not np.matmul:
            shape = np.broadcast_shapes(*(getattr(x, "shape", ()) for x in operands))
            operands = [self.trace.spread(x, shape) for x in operands]
        return self.trace.emit(UFUNCS[ufunc], operands)

    def __array_function__(self, function, types, operands, options):
        if function is not np.sum or {*options} - {"axis"}:
            raise TypeError(f"this compiler does not know np.{function.__name__} {options or ''}")
        axes = [0] * len(self.shape) if options.get("axis") is None else [options["axis"]]
        return reduce(lambda x, axis: x.emit("sum", axis % len(x.shape)), axes, self)


# --- 3. Differentiation ---------------------------------------------------------------------------
# Walk the nodes backward once: each turns the gradient of its result into those of its operands,
# and where a value was used several times, they add up. The rules use operations of chapter 1, so
# the backward pass is recorded like any other code, ahead of time, and can be differentiated again.


def gradient(loss, wrt):
    """The derivatives of the scalar `loss` in the arrays `wrt`, as nodes of the same trace."""
    trace, depends = loss.trace, {x.number for x in wrt}
    for number, node in enumerate(trace.nodes):  # only what is computed from `wrt` needs gradients
        depends |= {number} if depends.intersection(node.inputs) else set()
    gradients = {loss.number: trace.spread(1, loss.shape)}
    for number in sorted(depends, reverse=True):
        op, inputs, attrs, _ = trace.nodes[number]
        operands = [Array(trace, i) for i in inputs]
        for i, rule in zip(inputs, OPS[op].derivative, strict=True):
            if i in depends and number in gradients:
                term = rule(gradients[number], Array(trace, number), *operands, *attrs)
                gradients[i] = gradients[i] + term if i in gradients else term
    return [gradients.get(x.number) or trace.spread(0, x.shape) for x in wrt]


# --- 4. Simplification ----------------------------------------------------------------------------
# A pass turns a graph into one of the same values, bit for bit: x * 1 becomes x, but x + 0 stays,
# because it turns -0 into +0. So derivative rules can be written without a thought for such things.


def rewrite(graph, rule=lambda nodes, node: node):
    """A copy without what no output needs; `rule` gives the node to append, or one that will do."""
    live = {*graph.outputs, *(i for i, node in enumerate(graph.nodes) if node.op == "input")}
    for number in range(len(graph.nodes) - 1, -1, -1):
        live |= {*graph.nodes[number].inputs} if number in live else set()
    nodes, moved = [], {}
    for number in sorted(live):
        node = graph.nodes[number]
        found = rule(nodes, node._replace(inputs=tuple(moved[i] for i in node.inputs)))
        moved[number] = len(nodes) if isinstance(found, Node) else found
        nodes += [found] if isinstance(found, Node) else []
    return Graph(nodes, [moved[i] for i in graph.outputs])


def simplify(nodes, node):
    """What is known now is computed now, and multiplying by one does nothing."""
    literals = [nodes[i].attrs[0] if nodes[i].op == "constant" else None for i in node.inputs]
    compute = (lambda x: x) if node.op == "broadcast" else OPS[node.op].reference
    if (node.op == "broadcast" or OPS[node.op].instruction) and None not in literals:
        return Node("constant", (), (float(compute(*literals)), node.shape), node.shape)
    if node.op == "mul" and 1.0 in literals:
        return node.inputs[1 - literals.index(1.0)]
    return node


def share(nodes, node):
    """The number of an equal node; as texts, because 0.0 equals -0.0 but is not the same."""
    return next((i for i, other in enumerate(nodes) if repr(other) == repr(node)), node)


def optimize(graph):
    """All passes in the order in which they run."""
    graph = rewrite(graph, simplify)  # derivative rules multiply by one …
    graph = rewrite(graph, share)  # … and compute again what is there already
    return rewrite(graph)  # … which leaves nodes that nobody needs


# --- 5. Fusion ------------------------------------------------------------------------------------
# Executed one by one, each operation writes an array to memory, and the next one reads it again.
# But an element can be computed at the place that reads it: chains become one loop, views cost
# nothing. That is always right, and wise when none is computed twice. So: who gets memory?


def stored(graph):
    """The nodes that get memory: each becomes a kernel, computing all it needs up to memory."""
    reads, chosen = Counter(graph.outputs), []
    for number in range(len(graph.nodes) - 1, -1, -1):  # readers come before what they read
        node = graph.nodes[number]
        view = node.op in ("transpose", "broadcast", "constant")
        if number in graph.outputs or (reads[number] > 1 and not view):
            chosen.append(number)
            reads[number] = 1
        for i in node.inputs:  # products and broadcasts read every element again and again
            reads[i] += 2 if node.op in ("dot", "broadcast") else reads[number]
    return [number for number in reversed(chosen) if graph.nodes[number].op != "input"]


def listing(graph, memory=None):
    """The program, one line for each node in memory; the others stand where they are read."""
    memory = memory or range(len(graph.nodes))

    def text(number):
        op, inputs, attrs, _ = graph.nodes[number]
        operands = (f"%{i}" if i in memory else text(i) for i in inputs)
        return f"{op}({', '.join([*operands, *map(str, attrs)])})"

    lines = [f"  %{i}: f64{list(graph.nodes[i].shape)} = {text(i)}" for i in memory]
    return "\n".join([*lines, "  return " + ", ".join(f"%{i}" for i in graph.outputs)])


# --- 6. Code generation ---------------------------------------------------------------------------
# A kernel is a nest of loops over its result, which asks for one element after the other. The
# question goes on to the operands, and ends where it meets memory.

F64, I64, POINTER = ir.DoubleType(), ir.IntType(64), ir.PointerType()
ZERO = F64(0)


class Writer:
    """Writes the routine in LLVM's language. Its one argument is a table of addresses of arrays."""

    def __init__(self, graph, memory, kernels):
        self.graph, self.module, self.arrays = graph, ir.Module(), {}
        routine = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER]), "routine")
        b = self.b = ir.IRBuilder(routine.append_basic_block())
        for slot, number in enumerate(memory):
            address = b.gep(routine.args[0], [I64(slot)], source_etype=POINTER)
            self.arrays[number] = b.load(address, typ=POINTER)
        for number in kernels:
            self.loop(graph.nodes[number].shape, partial(self.store, number))
        b.ret_void()

    def loop(self, extents, body, start=ZERO, index=()):
        """`carried = body(index, carried)` for every index below `extents`; gives the last one."""
        if not extents or 0 in extents:
            return start if extents else body(index, start)
        b, before = self.b, self.b.block
        head, after = b.append_basic_block(), b.append_basic_block()
        b.branch(head)
        b.position_at_end(head)
        i, carried = b.phi(I64), b.phi(F64)
        result = self.loop(extents[1:], body, carried, (*index, i))
        following = b.add(i, I64(1))
        for phi, first, later in ((i, I64(0), following), (carried, start, result)):
            phi.add_incoming(first, before)
            phi.add_incoming(later, b.block)
        b.cbranch(b.icmp_unsigned("<", following, I64(extents[0])), head, after)
        b.position_at_end(after)
        return result

    def address(self, number, index):
        """Where an element lies: arrays are arrays of rows."""
        kind = reduce(ir.ArrayType, reversed(self.graph.nodes[number].shape), F64)
        return self.b.gep(self.arrays[number], [I64(0), *index], source_etype=kind)

    def store(self, number, index, carried):
        self.b.store(self.element(number, index, known=False), self.address(number, index))
        return carried

    def element(self, number, index, known=True):
        """An element of a node: read where it lies in memory, or else computed here and now."""
        if known and number in self.arrays:
            return self.b.load(self.address(number, index), typ=F64)
        op, inputs, attrs, _ = self.graph.nodes[number]
        if op == "constant":
            return F64(attrs[0])
        if op == "transpose":
            return self.element(inputs[0], index[::-1])
        if op == "broadcast":
            return self.element(inputs[0], index[: attrs[0]] + index[attrs[0] + 1 :])
        if op in ("sum", "dot"):
            axis = attrs[0] if op == "sum" else 1
            extent = self.graph.nodes[inputs[0]].shape[axis]
            return self.loop([extent], partial(self.accumulate, op, inputs, axis, index))
        operands, instruction = [self.element(i, index) for i in inputs], OPS[op].instruction
        if instruction.startswith("llvm."):
            return self.b.call(self.module.declare_intrinsic(instruction, [F64]), operands)
        return getattr(self.b, instruction)(*operands)

    def accumulate(self, op, inputs, axis, index, k, total):
        """The next summand of a sum or product, for index k along the axis that it folds."""
        if op == "sum":
            return self.b.fadd(total, self.element(inputs[0], index[:axis] + k + index[axis:]))
        left, right = self.element(inputs[0], index[:1] + k), self.element(inputs[1], k + index[1:])
        return self.b.fadd(total, self.b.fmul(left, right))


# --- 7. The compiled function ---------------------------------------------------------------------


class Compiled:
    """A function compiled for arguments of the shapes of `example`."""

    def __init__(self, function, *example):
        self.traced = Trace(function, example)
        self.graph = optimize(self.traced)
        kernels = stored(self.graph)
        self.memory = [*range(len(example)), *kernels]  # a trace begins with its inputs
        self.arrays = [np.empty(self.graph.nodes[i].shape) for i in self.memory]
        self.inputs = self.arrays[: len(example)]
        self.table = (ctypes.c_void_p * len(self.arrays))(*(x.ctypes.data for x in self.arrays))
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
        module = llvm.parse_assembly(str(Writer(self.graph, self.memory, kernels).module))
        self.jit = jit = llvm.create_mcjit_compiler(module, machine)  # owns the machine code
        self.routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(jit.get_function_address("routine"))

    def __call__(self, *arguments):
        """Copy the arguments in, run, copy the results out: no operation is looked at again."""
        for array, argument in zip(self.inputs, arguments, strict=True):
            if array.shape != argument.shape:
                raise TypeError(f"compiled for {array.shape}, called with {argument.shape}")
            np.copyto(array, argument)
        self.routine(self.table)
        return [self.arrays[self.memory.index(i)].copy() for i in self.graph.outputs]


def dynamic(function, *arguments):
    """The same function define-by-run: record, take the values, forget the rest."""
    trace = Trace(function, arguments)
    return [trace.values[i] for i in trace.outputs]


# --- 8. A training step, checked and timed --------------------------------------------------------


def loss(w1, b1, w2, b2, x, y):
    """Softmax cross-entropy of a net with one hidden layer, with weight decay; y is one-hot."""
    scores = np.tanh(x @ w1 + b1) @ w2 + b2
    errors = np.log(np.sum(np.exp(scores), axis=1)) - np.sum(scores * y, axis=1)
    return np.sum(errors) / x.shape[0] + 0.001 * np.sum(w1 * w1)


def train_step(*arrays):
    """The loss, and the parameters after one step of gradient descent."""
    value = loss(*arrays)
    gradients = gradient(value, arrays[:4])
    return value, *(p - 0.5 * g for p, g in zip(arrays, gradients, strict=False))


def example():
    """Parameters of an 8-16-4 net, and 32 rows to sort by which of four numbers is the largest."""
    draw = np.random.default_rng(0).normal
    x, w1, b1, w2, b2 = (draw(size=n) for n in ((32, 8), (8, 16), (16,), (16, 4), (4,)))
    return 0.5 * w1, b1, 0.5 * w2, b2, x, np.eye(4)[x[:, :4].argmax(axis=1)]


def check(step, arrays):
    """Native code, dynamic graph, plain NumPy and finite differences agree."""
    expected = dynamic(train_step, *arrays)
    for native, numpy in zip(step(*arrays), expected, strict=True):
        np.testing.assert_allclose(native, numpy, rtol=1e-11, atol=1e-13)
    assert np.isclose(loss(*arrays), expected[0], rtol=1e-14)  # plain NumPy, without a stand-in
    for i, p in enumerate(arrays[:4]):
        h = 1e-5 * np.cos(p)  # a small way in some direction
        ahead, behind = (loss(*arrays[:i], q, *arrays[i + 1 :]) for q in (p + h, p - h))
        assert np.isclose((ahead - behind) / 2, np.sum((p - expected[1 + i]) / 0.5 * h), rtol=1e-8)
    second = Compiled(lambda x: gradient(np.sum(*gradient(np.sum(np.tanh(x)), [x])), [x]), p)
    np.testing.assert_allclose(second(p)[0], -2 * np.tanh(p) * (1 - np.tanh(p) ** 2), rtol=1e-12)


def main():
    arrays, start = example(), default_timer()
    step = Compiled(train_step, *arrays)
    compiling = default_timer() - start
    print(f"As written; behind the loss, %{step.traced.outputs[0]}, its gradient and the update:")
    print(f"{listing(step.traced)}\n\nSimplified:\n{listing(step.graph)}\n")
    print(f"Fused, with one kernel per line:\n{listing(step.graph, step.memory)}\n")
    check(step, arrays)
    print("The native code agrees with NumPy.\n\ncalls   dynamic    static, compiling included")
    for calls in (1, 10, 100, 1000):
        slow = timeit(lambda: dynamic(train_step, *arrays), number=calls)
        fast = timeit(lambda: step(*arrays), number=calls)
        print(f"{calls:5}  {slow:7.4f} s  {fast + compiling:7.4f} s")
    paid = compiling / (slow - fast) * calls
    print(f"Compiling took {1e3 * compiling:.0f} ms and has paid after {paid:.0f} calls.")


if __name__ == "__main__":
    main()
