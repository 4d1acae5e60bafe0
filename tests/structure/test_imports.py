"""The import rule: ir <- compiler, ir <- runtime, all <- tapeless; nothing hidden in functions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

MAY_IMPORT = {
    "ir": {"ir"},
    "compiler": {"ir", "compiler"},
    "runtime": {"ir", "runtime"},
    "tapeless": {"ir", "compiler", "runtime", "tapeless"},
}
"""Which of our folders each folder may import from."""

OUTSIDE = {
    "ir": {"numpy"},
    "compiler": {"numpy", "llvmlite", "networkx"},
    "runtime": {"numpy", "llvmlite"},
    "tapeless": {"numpy", "llvmlite", "networkx", "matplotlib"},
}
"""Which distributions outside the standard library each folder may import."""

DEFERRED = {
    "networkx": "takes as long to import as all the rest together; needed only while compiling",
    "matplotlib": "an optional extra; asked for by `tl.plot` alone",
}
"""The distributions that may be imported inside a function, and why."""

DYNAMIC_IMPORTS = {
    "tapeless/__init__.py": "layers and plots are imported when they are first used",
    "tapeless/cli/load.py": "loads the user's file, whose name is known only when the tool runs",
}
"""The modules that may import by computed name, and why."""


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == "tapeless"


def _layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "tapeless"


def _targets(source, node: ast.stmt) -> Iterator[str]:
    """The absolute dotted names that an import statement may load."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = source.package.split(".")
            parts = parts[: len(parts) - (node.level - 1)]
            base = ".".join([*parts, *([node.module] if node.module else [])])
        if _is_ours(base):
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield base


def _imports(source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node.lineno, target) for target in _targets(source, node))


def test_folders_import_only_those_below_them(package_sources) -> None:
    violations = [
        f"{source.path}:{line} imports {target}"
        for source in package_sources
        for line, target in _imports(source)
        if _is_ours(target) and _layer_of(target) not in MAY_IMPORT[source.layer]
    ]
    assert not violations, "\n".join(violations)


def test_package_files_import_each_other_relatively(package_sources) -> None:
    violations = [
        f"{source.path}:{node.lineno} imports {target}"
        for source in package_sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for target in _targets(source, node)
        if target.split(".")[0] in MAY_IMPORT
    ]
    assert not violations, "\n".join(violations)


def test_only_declared_distributions_are_imported(package_sources) -> None:
    violations = [
        f"{source.path}:{line} imports {target}"
        for source in package_sources
        for line, target in _imports(source)
        if not _is_ours(target)
        and target.split(".")[0] not in sys.stdlib_module_names | OUTSIDE[source.layer]
    ]
    assert not violations, "\n".join(violations)


def _nested_imports(source) -> Iterator[tuple[int, str]]:
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from ((node.lineno, target) for target in _targets(source, node))


def test_functions_import_nothing_but_what_is_deferred_on_purpose(package_sources) -> None:
    violations = [
        f"{source.path}:{line} imports {target} inside a function"
        for source in package_sources
        for line, target in _nested_imports(source)
        if target.split(".")[0] not in DEFERRED
    ]
    assert not violations, "\n".join(violations)


def _computed_imports(source) -> Iterator[int]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == "__import__":
            yield node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            targets = set(_targets(source, node))
            if any(t.startswith("importlib") for t in targets - {"importlib.metadata"}):
                yield node.lineno


def test_no_module_is_imported_by_computed_name(package_sources) -> None:
    violations = [
        f"{source.path}:{line} imports by computed name"
        for source in package_sources
        if source.path not in DYNAMIC_IMPORTS
        for line in _computed_imports(source)
    ]
    assert not violations, "\n".join(violations)


def test_every_allowance_is_used(package_sources) -> None:
    nested = {t.split(".")[0] for source in package_sources for _, t in _nested_imports(source)}
    computed = {source.path for source in package_sources if list(_computed_imports(source))}
    assert nested == set(DEFERRED)
    assert computed == set(DYNAMIC_IMPORTS)
