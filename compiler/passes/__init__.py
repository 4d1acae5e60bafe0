"""Passes: pure functions `Graph -> Graph`, one file each; `compiler/pipeline.py` lists the order.

Every pass states what it requires and ensures, keeps inputs, outputs and their types, is linear
in the number of nodes up to a logarithm, and gives the same graph in every process. Those that
only simplify are bit-exact: NaN, infinities and the sign of zero included. Beside the passes live
what they share (`rewriting`, `patterns`, `subgraphs`, `failing`) and the plan of memory that code
generation follows (`memory`, `packing`, `schedule`). May import `ir`; nothing else of `compiler`.
"""
