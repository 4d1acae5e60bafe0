"""The first value of the first workload: `python first_value.py PEER`, timed from outside."""

from __future__ import annotations

import sys

from peers import PEERS
from workloads import WORKLOADS

if __name__ == "__main__":
    module = PEERS[sys.argv[1]].load()
    workload = WORKLOADS["two_layer_net"]
    step = module.BUILDERS[type(workload)](workload)
    step.run(1)
    print(step.figures()[0])
