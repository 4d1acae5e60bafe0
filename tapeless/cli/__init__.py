"""The command `tapeless`: shows what was compiled (`dump`), what it gains (`time`), and on what
(`info`).

One module per subcommand; `load.py` finds the functions in a user's file, `parser.py` has every
option and its help, `terminal.py` decides about colour. Uses the public interface of the package
plus `drawing` and `report`; nothing else imports this folder.
"""

from .main import main

__all__ = ["main"]
