"""Mathematical constants as unevaluated sums, by element type.

In a *split* the first part is short enough that its product with an exponent is exact (W. J. Cody
and W. Waite, "Software Manual for the Elementary Functions", 1980). In a *pair* the first part is
the nearest float and the second the nearest to what is left.
"""

from __future__ import annotations

Pair = tuple[float, float]

LN2_SPLIT: dict[str, Pair] = {
    "float": (0.693145751953125, 1.428606765330187e-06),
    "double": (0.6931471805598903, 5.497923018708371e-14),
}
LOG10_2_SPLIT: dict[str, Pair] = {
    "float": (0.30103302001953125, -3.024355464731343e-06),
    "double": (0.30102999566395283, 2.8363394551044964e-14),
}
LN2: dict[str, Pair] = {
    "float": (0.6931471824645996, -1.9046542121259336e-09),
    "double": (0.6931471805599453, 2.3190468138462996e-17),
}
INVERSE_LN2: dict[str, Pair] = {
    "float": (1.4426950216293335, 1.925963033500011e-08),
    "double": (1.4426950408889634, 2.0355273740931033e-17),
}
INVERSE_LN10: dict[str, Pair] = {
    "float": (0.4342944920063019, -1.0103049952192578e-08),
    "double": (0.4342944819032518, 1.098319650216765e-17),
}
HALF_PI: dict[str, Pair] = {
    "float": (1.5707963705062866, -4.371138828673793e-08),
    "double": (1.5707963267948966, 6.123233995736766e-17),
}
# pi/2 to 75 and 159 bits, each part the nearest float to what is left.
HALF_PI_PARTS: dict[str, tuple[float, float, float]] = {
    "float": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    "double": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
TWO_OVER_PI = {"float": 0.6366197466850281, "double": 0.6366197723675814}
QUARTER_PI_SPLIT: dict[str, Pair] = {
    "float": (0.785398006439209, 1.5695823663008923e-07),
    "double": (0.7853981633974483, 3.061616997868383e-17),
}
