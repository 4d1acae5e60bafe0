"""What the style rules ask and a machine can check: sizes, docstrings, names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FILE_LINES, FUNCTION_LINES = 500, 60
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def test_files_are_short(all_sources) -> None:
    violations = [
        f"{source.path}: {count} lines"
        for source in all_sources
        if (count := source.text.count("\n")) > FILE_LINES
    ]
    assert not violations, "\n".join(violations)


def test_functions_are_short(all_sources) -> None:
    violations = [
        f"{source.path}:{node.lineno} {node.name}: {count} lines"
        for source in all_sources
        for node in ast.walk(source.tree)
        if isinstance(node, FUNCTION)
        and (count := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not violations, "\n".join(violations)


def _is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any("overload" in ast.unparse(d) or ".setter" in ast.unparse(d) for d in decorators)


def _public_definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Public functions and classes of a module body, and the public methods of those classes."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _public_definitions([*node.body, *node.orelse], prefix)
        if not isinstance(node, FUNCTION | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not _is_overload(node):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public_definitions(node.body, f"{prefix}{node.name}.")


def test_every_module_has_a_docstring(all_sources) -> None:
    violations = [
        source.path for source in all_sources if len(ast.get_docstring(source.tree) or "") < 20
    ]
    assert not violations, "\n".join(violations)


def test_every_folder_says_what_lives_there(package_sources) -> None:
    placeholders = [
        source.path
        for source in package_sources
        if source.path.endswith("__init__.py")
        and "docstring follows" in (ast.get_docstring(source.tree) or "")
    ]
    assert not placeholders, "\n".join(placeholders)


def test_every_public_name_is_documented(package_sources) -> None:
    violations = [
        f"{source.path}:{node.lineno} {name}"
        for source in package_sources
        for name, node in _public_definitions(source.tree.body)
        if not ast.get_docstring(node)
    ]
    assert not violations, "\n".join(violations)


def test_no_module_has_a_vague_name(package_sources) -> None:
    violations = [
        source.path for source in package_sources if source.module.split(".")[-1] in VAGUE_NAMES
    ]
    assert not violations, "\n".join(violations)
