"""Pytrees: nested containers of leaves, taken apart and put together again.

Containers are `dict` and `OrderedDict` (insertion order kept, keys part of the structure), `list`,
`tuple`, NamedTuples, dataclass instances and `None` (a container without leaves). Everything else
is a leaf. A `TreeDef` is the structure without the leaves; it is hashable and equal structures
compare equal, so it can be part of a cache key.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from .errors import ArgumentError

Step: TypeAlias = tuple[str, Any]
"""One step down a tree: `("item", key_or_index)` or `("attr", field_name)`."""

Path: TypeAlias = tuple[Step, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class TreeDef:
    """The structure of a pytree: container type, keys or field names, and children.

    `container` is None for a leaf. `keys` are dict keys, NamedTuple or dataclass field names; empty
    for list and tuple, whose children are counted.
    """

    container: type | None
    keys: tuple[Any, ...]
    children: tuple[TreeDef, ...]
    num_leaves: int
    _hash: int = dataclasses.field(compare=False, repr=False)

    def __hash__(self) -> int:
        return self._hash

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """The tree with this structure and `leaves` in flatten order (`num_leaves` of them)."""
        if len(leaves) != self.num_leaves:
            raise ArgumentError(
                f"a tree of {self.num_leaves} leaves takes as many values", given=str(len(leaves))
            )
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.container is None:
            return next(leaves)
        children = [child._build(leaves) for child in self.children]
        return _builder(self.container)(self.container, self.keys, children)

    def leaf_paths(self) -> list[Path]:
        """The steps from the root to each leaf, in flatten order."""
        if self.container is None:
            return [()]
        return [
            (step, *rest)
            for step, child in zip(self.steps(), self.children, strict=True)
            for rest in child.leaf_paths()
        ]

    def steps(self) -> tuple[Step, ...]:
        """The step from this node to each of its children."""
        if self.container in (list, tuple):
            return tuple(("item", index) for index in range(len(self.children)))
        how = "item" if _is_mapping(self.container) else "attr"
        return tuple((how, key) for key in self.keys)

    def paths(self, root: str = "") -> list[str]:
        """How a user would write each leaf, e.g. `params['w1'][0].bias` for root `params`."""
        return [root + path_text(path) for path in self.leaf_paths()]


def path_text(path: Path) -> str:
    """The steps as Python source: `['w1'][0].bias`."""
    return "".join(f".{key}" if how == "attr" else f"[{key!r}]" for how, key in path)


def follow(tree: Any, path: Path) -> Any:
    """The object that `path` leads to."""
    for how, key in path:
        tree = getattr(tree, key) if how == "attr" else tree[key]
    return tree


class Leaf:
    """Base of dataclasses and NamedTuples that are leaves all the same."""

    __slots__ = ()


def _treedef(container: type | None, keys: tuple[Any, ...], children: list[TreeDef]) -> TreeDef:
    count = 1 if container is None else sum(child.num_leaves for child in children)
    below = tuple(children)
    return TreeDef(container, keys, below, count, hash((container, keys, below)))


LEAF = _treedef(None, (), [])
"""The structure of a tree that is a single leaf."""

_NONE = _treedef(type(None), (), [])

_Parts: TypeAlias = tuple[tuple[Any, ...], Sequence[Any]]


def _mapping_parts(tree: dict[Any, Any]) -> _Parts:
    return tuple(tree), list(tree.values())


def _sequence_parts(tree: Sequence[Any]) -> _Parts:
    return (), tree


def _namedtuple_parts(tree: Any) -> _Parts:
    return tree._fields, tree


def _dataclass_parts(tree: Any) -> _Parts:
    names = tuple(field.name for field in dataclasses.fields(tree))
    return names, [getattr(tree, name) for name in names]


def _splitter(kind: type) -> Callable[[Any], _Parts] | None:
    """How an instance of `kind` comes apart; None for a leaf."""
    known = _SPLITTERS.get(kind)
    if known is not None:
        return known
    if issubclass(kind, Leaf):
        return None
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _namedtuple_parts
    if dataclasses.is_dataclass(kind):
        return _dataclass_parts
    return None


_SPLITTERS: dict[type, Callable[[Any], _Parts]] = {
    dict: _mapping_parts,
    OrderedDict: _mapping_parts,
    list: _sequence_parts,
    tuple: _sequence_parts,
}


def _is_mapping(kind: type | None) -> bool:
    return kind is dict or kind is OrderedDict


def _build_mapping(kind: type, keys: tuple[Any, ...], children: list[Any]) -> Any:
    return kind(zip(keys, children, strict=True))


def _build_sequence(kind: type, keys: tuple[Any, ...], children: list[Any]) -> Any:
    return kind(children)


def _build_none(kind: type, keys: tuple[Any, ...], children: list[Any]) -> Any:
    return None


def _build_namedtuple(kind: type, keys: tuple[Any, ...], children: list[Any]) -> Any:
    return kind(*children)


def _build_dataclass(kind: type, keys: tuple[Any, ...], children: list[Any]) -> Any:
    # Without __init__, which may compute, check or refuse: the fields are already as it left them.
    tree: Any = object.__new__(kind)
    for key, child in zip(keys, children, strict=True):
        object.__setattr__(tree, key, child)
    return tree


_BUILDERS: dict[type, Callable[[type, tuple[Any, ...], list[Any]], Any]] = {
    dict: _build_mapping,
    OrderedDict: _build_mapping,
    list: _build_sequence,
    tuple: _build_sequence,
    type(None): _build_none,
}


def _builder(kind: type) -> Callable[[type, tuple[Any, ...], list[Any]], Any]:
    known = _BUILDERS.get(kind)
    if known is not None:
        return known
    return _build_namedtuple if issubclass(kind, tuple) else _build_dataclass


def is_container(tree: Any) -> bool:
    """True for an object that `flatten` takes apart rather than keeps as a leaf."""
    return tree is None or (not isinstance(tree, type) and _splitter(type(tree)) is not None)


def children(tree: Any) -> list[tuple[Step, Any]]:
    """The steps to and the children of a container."""
    if tree is None:
        return []
    splitter = _splitter(type(tree))
    if splitter is None:
        return []
    keys, below = splitter(tree)
    if not keys:
        return [(("item", index), child) for index, child in enumerate(below)]
    how = "item" if _is_mapping(type(tree)) else "attr"
    return [((how, key), child) for key, child in zip(keys, below, strict=True)]


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """The leaves of `tree`, left to right, and its structure.

    Raises `ArgumentError` for containers that hold themselves.
    """
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves)
    except RecursionError:
        raise ArgumentError(
            "containers are nested to a finite and moderate depth",
            given="one that holds itself, or hundreds of levels",
        ) from None


def _flatten(tree: Any, leaves: list[Any]) -> TreeDef:
    if tree is None:
        return _NONE
    kind = type(tree)
    splitter = _splitter(kind)
    if splitter is None:
        leaves.append(tree)
        return LEAF
    keys, below = splitter(tree)
    return _treedef(kind, keys, [_flatten(child, leaves) for child in below])


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree with `function(leaf, *leaves_of_others)` for every leaf.

    Raises `ArgumentError` where another tree has another structure.
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for number, other in enumerate(others, 2):
        more, found = flatten(other)
        if found != structure:
            first, second = (", ".join(s.paths("tree")) or "no leaves" for s in (structure, found))
            raise ArgumentError(
                "trees that are mapped together have one structure",
                given=f"tree 1 with {first:.80}; tree {number} with {second:.80}",
            )
        columns.append(more)
    return structure.unflatten([function(*row) for row in zip(*columns, strict=True)])
