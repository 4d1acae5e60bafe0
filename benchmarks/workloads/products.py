"""Matrix products in one thread: cubes, and the thin shapes of the nets beside this file."""

from __future__ import annotations

from .kinds import Product

CUBES = (128, 256, 512, 1024, 2048)
THIN = ((64, 100, 1000), (1000, 100, 64), (128, 512, 784), (64, 1000, 100), (1000, 64, 100))
"""(m, k, n); the last two are the first layer of the two-layer net, forward and weight gradient."""

PRODUCTS: list[Product] = [
    Product(name=f"product_{m}x{k}x{n}", m=m, k=k, n=n)
    for m, k, n in (*((size, size, size) for size in CUBES), *THIN)
]
