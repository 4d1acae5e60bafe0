"""Finding the compiled functions of a user's file.

The file is imported as a module of its own name: its folder is on `sys.path` as when it is run, but
`if __name__ == "__main__"` is not taken. What it prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from .. import compiler, ir, runtime
from ..compiled import CompiledFunction
from ..ir.errors import TapelessError
from .failure import CommandError, one_line

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A compiled function of a file, with arguments to call it with."""

    file: str
    name: str
    function: CompiledFunction

    def arguments(self) -> tuple[Any, ...]:
        """Fresh example arguments: the file's own function is asked every time."""
        assert self.function.example is not None
        arguments: Any = self.attempt(self.function.example, f"the example of {self.name}: ")
        if not isinstance(arguments, tuple):
            raise CommandError(
                f"the example of {self.name} must return a tuple with one entry per argument, "
                f"not {type(arguments).__name__}"
            )
        return arguments

    def attempt(self, action: Callable[[], T], what: str = "") -> T:
        """The result of running the user's code; its exceptions become a `CommandError`.

        One that arises in the package, and is none of its errors, is a bug of ours: it stays.
        """
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return action()
        except TapelessError as error:
            message = str(error)
            if error.loc is None or error.loc.file == os.path.abspath(sys.argv[0]):  # the command
                message = f"{self.file}: {message.removeprefix(f'{error.loc}: ')}"
            raise CommandError(one_line(message)) from None
        except CommandError:
            raise
        except Exception as error:
            if _is_our_bug(error):
                raise
            message = f"{_where(error, self.file)}: {what}{type(error).__name__}: {error}"
            raise CommandError(one_line(message)) from None


def load(target: str) -> Loaded:
    """The function that `FILE` or `FILE:FUNCTION` names; `CommandError` if there is none."""
    file, name = split_target(target)
    module = _import_file(file)
    functions = {
        key: value for key, value in vars(module).items() if isinstance(value, CompiledFunction)
    }
    ready = {key: value for key, value in functions.items() if value.example is not None}
    if name is not None:
        return Loaded(file, name, _named(file, name, functions, ready))
    if not ready:
        raise CommandError(
            f"{file} has no function decorated with @tl.compile(example=make_arguments)"
        )
    if len(ready) > 1:
        raise CommandError(f"{file} has several functions, name one: {_choices(file, ready)}")
    (name, function), *_ = ready.items()
    return Loaded(file, name, function)


def split_target(target: str) -> tuple[str, str | None]:
    """`FILE` and `FUNCTION` of `FILE[:FUNCTION]`; a colon inside an existing path is no divider."""
    file, colon, name = target.rpartition(":")
    if os.path.exists(target) or not colon or not name.isidentifier():
        file, name = target, ""
    if not os.path.exists(file):
        raise CommandError(f"no such file: {file}")
    if os.path.isdir(file):
        raise CommandError(f"{file} is a folder; name a Python file")
    return file, name or None


def _choices(file: str, functions: dict[str, CompiledFunction]) -> str:
    return ", ".join(f"{file}:{name}" for name in functions)


def _named(
    file: str,
    name: str,
    functions: dict[str, CompiledFunction],
    ready: dict[str, CompiledFunction],
) -> CompiledFunction:
    if name in ready:
        return ready[name]
    if name in functions:
        raise CommandError(
            f"{name} in {file} has no example arguments; decorate it with "
            "@tl.compile(example=make_arguments)"
        )
    known = f"; there are: {', '.join(functions)}" if functions else ""
    raise CommandError(f"{file} has no compiled function {name}{known}")


def _import_file(file: str) -> ModuleType:
    path = os.path.abspath(file)
    stem = os.path.splitext(os.path.basename(path))[0]
    name = stem if stem not in sys.modules else f"_tapeless_file_{stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, os.path.dirname(path))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, SystemExit):
            raise CommandError(f"{file} called sys.exit() while it was imported") from None
        if not isinstance(error, Exception):
            raise
        message = f"{_where(error, file)}: {type(error).__name__}: {error}"
        raise CommandError(one_line(message)) from None
    return module


_PACKAGE_FOLDERS = tuple(
    os.path.dirname(str(package.__file__)) + os.sep for package in (compiler, ir, runtime)
)


def _is_our_bug(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_PACKAGE_FOLDERS)


def _where(error: BaseException, file: str) -> str:
    """The last line of the user's file that took part in an exception."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{error.filename}:{error.lineno}"
    path = os.path.abspath(file)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return f"{file}:{lines[-1]}" if lines else file
