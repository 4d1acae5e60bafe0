"""What a static graph is fed: names and types required, and errors that name the input at fault."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .compiler.trace.arguments import ArgumentSpec, leaf_names, spec_of
from .compiler.trace.function import TracedFunction
from .compiler.trace.kinds import Kind
from .ir.errors import ArgumentError, TapelessError
from .ir.pytree import LEAF, TreeDef, flatten, path_text

NOTHING = flatten(None)[1]
"""The structure of None."""


@dataclass(frozen=True, slots=True)
class GraphSignature:
    """What every run of the graph `graph` is given.

    `trees` has the structure of each input by its name, `leaves` the type of each leaf by its path;
    `fixed` are the names of static arguments, which are part of the graph.
    """

    graph: str
    fn: Callable[..., Any]
    trees: Mapping[str, TreeDef]
    leaves: Mapping[str, ArgumentSpec]
    structure: TreeDef
    fixed: Collection[str]

    @classmethod
    def of(
        cls, graph: str, fn: Callable[..., Any], traced: TracedFunction, fixed: Collection[str]
    ) -> GraphSignature:
        """The signature that a function was traced for."""
        names = traced.input_names[: len(traced.arguments)]
        leaves = dict(zip(names, traced.arguments, strict=True))
        return cls(graph, fn, _trees(fn, traced.in_tree), leaves, traced.in_tree, fixed)

    @property
    def call(self) -> str:
        """How the graph is run."""
        called = self.graph if self.graph.isidentifier() else "graph"
        return f"{called}({', '.join(f'{name}=…' for name in self.trees)})"

    def in_order(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs as the graph lists them; `ArgumentError` unless there is one of each name."""
        if inputs.keys() != self.trees.keys():
            raise self._misnamed(inputs)
        return {name: inputs[name] for name in self.trees}

    def _misnamed(self, inputs: Mapping[str, Any]) -> ArgumentError:
        missing = [name for name in self.trees if name not in inputs]
        unknown = [name for name in inputs if name not in self.trees]
        requirement = f"graph {self.graph} takes {', '.join(self.trees) or 'no inputs'}"
        if missing:
            requirement = f"graph {self.graph} needs {_listed(map(self._described, missing))}"
        given = ", ".join(inputs) or "nothing"
        return ArgumentError(requirement, given=given, hint=self._name_hint(missing, unknown))

    def _name_hint(self, missing: list[str], unknown: list[str]) -> str:
        for name in unknown:
            if name in self.fixed:
                return f"{name} is static: it was fixed when the graph was built"
            close = difflib.get_close_matches(name, missing or list(self.trees), 1)
            if close:
                return f"there is no input {name}; did you mean {close[0]}?"
        rest = f"leave out {', '.join(unknown)}; " if unknown else ""
        return f"{rest}run it as {self.call}"

    def _described(self, name: str) -> str:
        spec = self.leaves.get(name)
        return f"{name} ({_required(spec)})" if spec is not None else name

    def check_types(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise `ArgumentError` unless the arguments have the types that the graph is for."""
        leaves, structure = flatten((args, dict(kwargs)))
        if structure != self.structure:
            found = _trees(self.fn, structure)
            for name, tree in self.trees.items():
                self._check_structure(name, tree, found[name])
        for (name, spec), leaf in zip(self.leaves.items(), leaves, strict=True):
            if not _fits(leaf, spec, name):
                raise ArgumentError(
                    f"input {name} of graph {self.graph} is {_required(spec)}",
                    given=description(leaf),
                    hint=_type_hint(name, spec, leaf),
                )

    def _check_structure(self, path: str, want: TreeDef, have: TreeDef) -> None:
        """Raise the error for the first container, seen from the root, that is not as required."""
        steps = {
            path_text((step,)): child
            for step, child in zip(want.steps(), want.children, strict=True)
        }
        found = {
            path_text((step,)): child
            for step, child in zip(have.steps(), have.children, strict=True)
        }
        if want.container is not have.container or steps.keys() != found.keys():
            raise ArgumentError(
                f"input {path} of graph {self.graph} is {self._container(path, want)}",
                given=_container(have),
                hint=f"pass np.asarray({path})" if want == LEAF and have != NOTHING else "",
            )
        for step, child in steps.items():
            self._check_structure(path + step, child, found[step])

    def _container(self, path: str, tree: TreeDef) -> str:
        return _required(self.leaves[path]) if tree == LEAF else _container(tree)


def _trees(fn: Callable[..., Any], structure: TreeDef) -> dict[str, TreeDef]:
    """The structure of each argument of `(args, kwargs)` by its name."""
    positional, keyword = structure.children
    names = leaf_names(fn, _one_leaf_each(len(positional.children)))
    return {
        **dict(zip(names, positional.children, strict=True)),
        **dict(zip(keyword.keys, keyword.children, strict=True)),
    }


def _one_leaf_each(count: int) -> TreeDef:
    return flatten(((0,) * count, {}))[1]


def _container(tree: TreeDef) -> str:
    """What a structure is at its root: `a dict with ['w'], ['b']`."""
    if tree == LEAF:
        return "an array or a number"
    if tree == NOTHING:
        return "None"
    kind = f"a {tree.container.__name__}" if tree.container else ""
    if tree.container in (list, tuple):
        return f"{kind} of {len(tree.children)}"
    return f"{kind} with {_listed(path_text((step,)) for step in tree.steps())}"


def _fits(leaf: Any, spec: ArgumentSpec, name: str) -> bool:
    try:
        given = spec_of(leaf, name)
    except TapelessError:
        return False
    return (given.kind, given.dtype, given.shape) == (spec.kind, spec.dtype, spec.shape)


def _required(spec: ArgumentSpec) -> str:
    if spec.kind.weak:
        return f"a Python {spec.kind.value}"
    if spec.kind is Kind.SCALAR:
        return f"a NumPy {spec.dtype} scalar"
    return f"a {spec.dtype} array of shape {spec.shape}"


def description(value: Any) -> str:
    """What an object is, in a few words: `a float32 array of shape (3,)`, `int 3`."""
    if type(value) is np.ndarray:
        return f"a {value.dtype} array of shape {value.shape}"
    if isinstance(value, np.ndarray):
        return f"a {type(value).__name__} of shape {value.shape}"
    if isinstance(value, np.generic):
        return f"a NumPy {value.dtype} scalar"
    return f"{type(value).__name__} {value!r:.60}"


def _type_hint(name: str, spec: ArgumentSpec, leaf: Any) -> str:
    """How to make of `leaf` what `spec` asks for."""
    if not isinstance(leaf, np.ndarray | np.generic | int | float):
        return ""
    if spec.kind.weak:
        return f"pass {spec.kind.value}({name})"
    if spec.kind is Kind.SCALAR:
        return f"pass np.{spec.dtype}({name})"
    if np.shape(leaf) != spec.shape:
        return "a graph has fixed shapes: build one for these too (tl.compile does so by itself)"
    if type(leaf) is np.ndarray:
        return f"pass {name}.astype(np.{spec.dtype})"
    return f"pass np.asarray({name}, np.{spec.dtype})"


def _listed(names: Iterable[str], most: int = 6) -> str:
    """The names, cut short where there are many."""
    listed = list(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")
