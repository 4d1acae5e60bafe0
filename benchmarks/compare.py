"""Step times of tapeless and its peers, relative to each other and to the machine's limit.

    python benchmarks/compare.py                             everything, ten minutes
    python benchmarks/compare.py --workload neuron pointwise --rounds 20
    python benchmarks/compare.py --peers tapeless numpy      no other peers
    python benchmarks/compare.py --list

Every peer runs in a process of its own, all with the same number of threads, and takes its turn in
every round. The exit status is 1 when a peer fails or the losses differ. README.md beside this file
says how to read the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from contest import Rules, hold
from peers import PEERS, TAPELESS
from results import Result
from tables import block, markdown
from workloads import WORKLOADS


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workload", nargs="+", default=["*"], metavar="NAME", help="names or patterns"
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", type=int, default=2, help="of each peer (default: 2)")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each peer (default: 15)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn (default: 0.1)")
    parser.add_argument(
        "--fastest", action="store_true", help="ratios of the fastest blocks, not of medians"
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE (- for stdout)")
    parser.add_argument("--markdown", action="store_true", help="end with a table for the README")
    parser.add_argument("--list", action="store_true", help="list the workloads and stop")
    options = parser.parse_args()
    if min(options.threads, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--threads, --rounds and --seconds are positive")
    for pattern in options.workload:
        if not any(fnmatch(name, pattern) for name in WORKLOADS):
            parser.error(f"no workload matches {pattern!r}; --list shows them")
    if TAPELESS not in options.peers:
        options.peers.insert(0, TAPELESS)
    return options


def processor() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def circumstances(results: list[Result]) -> dict[str, Any]:
    """When, where and with what."""
    load = [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None
    versions = {
        name: peer.version for r in results for name, peer in r.peers.items() if peer.version
    }
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": load,
        "versions": versions,
    }


def main() -> int:
    """Run what is asked for."""
    options = arguments()
    chosen = [w for n, w in WORKLOADS.items() if any(fnmatch(n, p) for p in options.workload)]
    if options.list:
        print("\n".join(f"{w.name:24} {w.title} ({w.dtype})" for w in chosen))
        return 0
    rules = Rules(options.threads, options.rounds, options.seconds, options.fastest)
    out = sys.stderr if options.json == "-" else sys.stdout
    results = []
    for workload in chosen:
        result = hold(workload, options.peers, rules)
        results.append(result)
        print(block(result) + "\n", file=out, flush=True)
    about = circumstances(results)
    if options.markdown:
        print(markdown(results), file=out)
    print("; ".join(f"{name}: {value}" for name, value in about.items()), file=out)
    if options.json:
        text = json.dumps({**about, "results": [r.as_json() for r in results]}, indent=1)
        if options.json == "-":
            print(text)
        else:
            Path(options.json).write_text(text + "\n", encoding="utf-8")
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main())
