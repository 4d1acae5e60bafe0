"""The transformations: values by hand and by numbers, in three places: inside a compiled function,
define-by-run, and called directly outside of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import ArgumentError, DifferentiationError, ShapeError
from tapeless.ir.pytree import flatten

Array = np.ndarray[Any, Any]
Run = Callable[..., Any]


@pytest.fixture(params=["compiled", "dynamic", "direct"])
def run(request: pytest.FixtureRequest) -> Run:
    """`run(fn, *args)`: a function that uses transformations, executed in one of three ways."""
    ways: dict[str, Run] = {
        "compiled": lambda fn, *args: tl.compile(fn)(*args),
        "dynamic": lambda fn, *args: tl.compile(fn).dynamic(*args),
        "direct": lambda fn, *args: fn(*args),
    }
    return ways[request.param]


def close(got: Any, expected: Any) -> None:
    """Assert equal structure and nearly equal leaves of equal dtype and shape."""
    got_leaves, got_tree = flatten(got)
    leaves, tree = flatten(expected)
    assert got_tree == tree
    for mine, theirs in zip(got_leaves, leaves, strict=True):
        assert np.asarray(mine).dtype == np.asarray(theirs).dtype
        assert np.shape(mine) == np.shape(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


X = np.array([0.3, -1.2, 2.0])


class Pair(NamedTuple):
    a: Any
    b: Any


def test_grad_of_a_polynomial(run):
    close(run(lambda x: tl.grad(lambda x: np.sum(x**3))(x), X), 3 * X**2)


def test_value_and_grad_gives_both(run):
    value, gradient = run(lambda x: tl.value_and_grad(lambda x: np.sum(np.sin(x)))(x), X)
    close(value, np.sum(np.sin(X)))
    close(gradient, np.cos(X))


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, 2 * X),
        (1, np.full(3, 3.0)),
        (-1, np.full(3, 3.0)),
        ("y", np.full(3, 3.0)),
        ((0,), (2 * X,)),
        ((1, 0), (np.full(3, 3.0), 2 * X)),
        (("y", 0), (np.full(3, 3.0), 2 * X)),
    ],
)
def test_argnums_select_by_position_and_by_name(run, argnums, expected):
    def f(x, y):
        return np.sum(x**2 + 3 * y)

    close(run(lambda x, y: tl.grad(f, argnums)(x, y), X, X), expected)


def test_an_argument_passed_by_name_can_be_selected_either_way(run):
    def f(x, y):
        return np.sum(x * y**2)

    close(run(lambda x, y: tl.grad(f, "y")(x, y=y), X, X), 2 * X * X)
    close(run(lambda x, y: tl.grad(f, 1)(x, y=y), X, X), 2 * X * X)


def test_gradients_have_the_structure_of_the_argument(run):
    def f(p):
        return np.sum(p["w"] * p["l"][0]) + p["t"].a * p["t"].b + np.sum(p["f"]) ** 2

    p = {
        "w": X,
        "l": [2 * X, None],
        "t": Pair(2.0, np.float64(5.0)),
        "f": np.ones((2, 2), np.float32),
    }
    close(
        run(lambda p: tl.grad(f)(p), p),
        {
            "w": 2 * X,
            "l": [X, None],
            "t": Pair(np.float64(5.0), np.float64(2.0)),
            "f": np.full((2, 2), 8.0, np.float32),
        },
    )


def test_gradients_keep_float32(run):
    x = X.astype(np.float32)
    value, gradient = run(lambda x: tl.value_and_grad(lambda x: np.sum(x * x))(x), x)
    assert value.dtype == gradient.dtype == np.float32


def test_an_argument_without_influence_has_a_zero_gradient(run):
    close(run(lambda x, y: tl.grad(lambda x, y: np.sum(y))(x, y), X, X), np.zeros(3))


def test_aux_results_come_beside_the_value(run):
    def f(x):
        y = x * 2
        return np.sum(y), {"y": y, "x": x, "n": 3, "note": "hi"}

    (value, aux), gradient = run(lambda x: tl.value_and_grad(f, has_aux=True)(x), X)
    close((value, gradient), (np.sum(2 * X), np.full(3, 2.0)))
    close((aux["y"], aux["x"]), (2 * X, X))
    assert (aux["n"], aux["note"]) == (3, "hi")


def test_the_gradient_is_of_the_argument_alone_not_of_the_same_array_in_a_closure(run):
    close(run(lambda x: tl.grad(lambda a: np.sum(a * x))(x), X), X)


def test_gradients_nest(run):
    def third(x):
        once = tl.grad(lambda x: x**4)
        return tl.grad(lambda x: tl.grad(lambda x: once(x))(x))(x)

    close(run(third, np.float64(2.0)), np.float64(48.0))


def test_gradients_of_functions_of_gradients(run):
    def penalty(x):
        inner = tl.grad(lambda y: np.sum(y**3 * x))(x)
        return np.sum(inner**2)

    close(run(lambda x: tl.grad(penalty)(x), X), 9 * 6 * X**5)


def test_compiled_functions_can_be_transformed(run):
    f = tl.compile(lambda x: np.sum(x**2))
    close(run(lambda x: tl.grad(f)(x), X), 2 * X)


def test_static_arguments_of_compiled_functions_stay_static():
    f = tl.compile(lambda x, mode: np.sum(x**2) if mode == "square" else np.sum(x), static="mode")
    close(tl.grad(f)(X, "square"), 2 * X)
    close(tl.grad(f)(X, mode="sum"), np.ones(3))
    close(tl.grad(tl.grad(f, 0) and f)(X, "sum"), np.ones(3))


def test_the_gradient_step_of_a_training_loop(run):
    def loss(p, x, y):
        return np.mean((x @ p["w"] + p["b"] - y) ** 2)

    def step(p, x, y, lr):
        value, grads = tl.value_and_grad(loss)(p, x, y)
        for name in p:
            p[name] -= lr * grads[name]
        return value

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=8)
    p = {"w": np.zeros(3), "b": np.zeros(())}
    w, b = p["w"].copy(), p["b"].copy()
    for _ in range(3):
        value = run(step, p, x, y, 0.1)
        r = x @ w + b - y
        close(value, np.mean(r**2))
        w, b = w - 0.1 * 2 * x.T @ r / 8, b - 0.1 * 2 * np.mean(r)
        close((p["w"], p["b"]), (w, np.asarray(b)))


def test_in_place_updates_inside_a_differentiated_function(run):
    def f(x):
        y = x * 1.0
        y[0] = y[1] * 2
        y *= 3
        return np.sum(y**2)

    close(run(lambda x: tl.grad(f)(x), X), np.array([0.0, 9 * 10 * X[1], 18 * X[2]]))


def test_a_differentiated_function_updates_its_argument(run):
    def f(x):
        before = np.sum(x**2)
        x *= 2
        return before

    x = X.copy()
    value, gradient = run(lambda x: tl.value_and_grad(f)(x), x)
    close((value, gradient, x), (np.sum(X**2), 2 * X, 2 * X))


def test_vjp_gives_a_pullback_for_every_primal(run):
    def f(x, p):
        return {"a": np.sin(x), "b": np.sum(x) * p["s"]}

    def whole(x, s, c):
        out, pullback = tl.vjp(f, x, {"s": s})
        return out, pullback({"a": c, "b": 2.0})

    out, (dx, dp) = run(whole, X, 4.0, np.ones(3))
    close(out, {"a": np.sin(X), "b": np.float64(np.sum(X) * 4)})
    close(dx, np.cos(X) + 8.0)
    close(dp, {"s": np.float64(2 * np.sum(X))})


def test_a_pullback_belongs_to_the_primals_of_its_vjp(run):
    def f(x):
        out, pullback = tl.vjp(lambda x: x**2, x)
        x[...] = 100.0
        return out, pullback(np.ones(3))

    out, (gradient,) = run(f, X.copy())
    close((out, gradient), (X**2, 2 * X))


def test_a_pullback_can_be_mapped(run):
    def f(x):
        _, pullback = tl.vjp(lambda x: x**2, x)
        return tl.vmap(pullback)(np.eye(3) * np.ones((3, 1)))

    close(run(f, X), (np.diag(2 * X),))


def test_jvp_gives_the_derivative_along_a_direction(run):
    def f(x, y):
        return {"p": x * y, "n": np.argmax(x)}

    out, tangent = run(lambda x, v: tl.jvp(f, (x, x), (v, 2 * v)), X, np.ones(3))
    close(out["p"], X * X)
    close(tangent["p"], 3 * X)
    assert tangent["n"] == 0


def test_jacobians_in_both_modes_agree_with_the_definition(run):
    def f(p):
        return np.sin(p["x"]) * p["s"], np.sum(p["x"] ** 2)

    expected = (
        {"x": np.diag(2 * np.cos(X)), "s": np.sin(X)},
        {"x": 2 * X, "s": np.float64(0.0)},
    )
    for transformation in (tl.jacobian, tl.jacrev, tl.jacfwd):
        close(run(lambda p, t=transformation: t(f)(p), {"x": X, "s": 2.0}), expected)


def test_jacobian_of_a_matrix_function_has_the_axes_of_result_then_argument(run):
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    expected = np.zeros((2, 4, 2, 3))
    for i in range(2):
        expected[i, :, i, :] = b.T
    for transformation in (tl.jacobian, tl.jacfwd):
        close(run(lambda a, b, t=transformation: t(np.matmul)(a, b), a, b), expected)


def test_jacobian_of_several_arguments(run):
    got = run(lambda x, y: tl.jacobian(lambda x, y: x * y, (0, 1))(x, y), X, 2 * X)
    close(got, (np.diag(2 * X), np.diag(X)))


def test_hessian_is_the_matrix_of_second_derivatives(run):
    def f(x):
        return np.sum(x[:-1] ** 2 * x[1:])

    x = X
    expected = np.array([[2 * x[1], 2 * x[0], 0], [2 * x[0], 2 * x[2], 2 * x[1]], [0, 2 * x[1], 0]])
    close(run(lambda x: tl.hessian(f)(x), X), expected)


def test_hvp_is_the_hessian_times_a_vector(run):
    def f(x, y):
        return np.sum(np.sin(x) * y)

    v = np.array([1.0, 2.0, 3.0])
    got = run(lambda x, v: tl.hvp(f)((x, x), (v, 0 * v)), X, v)
    close(got, (-np.sin(X) * X * v, np.cos(X) * v))


def test_vmap_is_a_loop_over_slices(run):
    m, w = np.arange(12.0).reshape(4, 3), X
    close(run(lambda m, w: tl.vmap(lambda r, w: r @ w, (0, None))(m, w), m, w), m @ w)
    close(
        run(lambda m, w: tl.vmap(lambda c, w: c * w, (1, 0), 1)(m, w), m, w),
        np.stack([m[:, i] * w[i] for i in range(3)], 1),
    )


def test_vmap_axes_go_into_containers(run):
    d = {"a": np.arange(6.0).reshape(2, 3), "b": 2.0}

    def f(d, x):
        return np.sum(d["a"]) * d["b"], x

    got = run(lambda d, x: tl.vmap(f, ({"a": 1, "b": None}, -1), (0, -1))(d, x), d, np.ones((2, 3)))
    close(got, (np.sum(d["a"], 0) * 2, np.ones((2, 3))))


def test_vmap_and_grad_nest_both_ways(run):
    m = np.arange(6.0).reshape(2, 3) + 1
    close(run(lambda m: tl.vmap(tl.grad(lambda r: np.sum(r**3)))(m), m), 3 * m**2)
    close(run(lambda m: tl.grad(lambda m: np.sum(tl.vmap(lambda r: r**3)(m)))(m), m), 3 * m**2)
    close(run(lambda m: tl.vmap(tl.vmap(lambda s: s * 2))(m), m), 2 * m)


def test_stop_gradient_is_constant_to_derivatives(run):
    def f(x):
        return np.sum(tl.stop_gradient({"x": x})["x"] * x)

    close(run(lambda x: tl.grad(f)(x), X), X)
    close(run(lambda x: tl.stop_gradient((x, 2)), X), (X, 2))


def make_clipped() -> tl.custom_vjp:
    @tl.custom_vjp
    def clipped(x, low):
        """x, not below low."""
        return np.maximum(x, low)

    return clipped.defvjp(
        lambda x, low: (np.maximum(x, low), (x > low,)),
        lambda residuals, g: (g * residuals[0] * 10, None),
    )


def test_a_custom_derivative_takes_the_place_of_the_own_one(run):
    clipped = make_clipped()
    close(run(lambda x: clipped(x, 0.0), X), np.maximum(X, 0))
    close(run(lambda x: tl.grad(lambda x: np.sum(clipped(x, low=0.0)))(x), X), (X > 0) * 10.0)
    close(run(lambda x: tl.grad(lambda low: np.sum(clipped(x, low)))(0.5), X), np.float64(0.0))
    assert clipped.__doc__ == "x, not below low."


def test_custom_derivatives_are_differentiated_in_turn(run):
    cube = tl.custom_vjp(lambda x: x**3).defvjp(lambda x: (x**3, x), lambda x, g: (g * 3 * x**2,))
    close(
        run(lambda x: tl.grad(lambda x: np.sum(tl.grad(lambda x: np.sum(cube(x)))(x)))(x), X), 6 * X
    )
    close(run(lambda x: tl.vmap(tl.grad(cube))(x), X), 3 * X**2)


def test_methods_can_be_transformed():
    class Model:
        def __init__(self):
            self.w = np.array([1.0, 2.0])

        def loss(self, x):
            return np.sum(self.w * x**2)

        gradient = tl.grad(loss, argnums="x")

    model = Model()
    close(model.gradient(np.ones(2)), 2 * model.w)
    close(tl.grad(model.loss)(np.ones(2)), 2 * model.w)
    model.w[...] = 5.0
    close(tl.grad(model.loss)(np.ones(2)), 2 * model.w)


def test_transforming_the_same_function_again_compiles_nothing():
    traced = itertools.count()

    def f(x):
        next(traced)
        return np.sum(x**2)

    for _ in range(3):
        tl.grad(f)(X)
        tl.value_and_grad(f)(X)
    assert next(traced) == 2
    assert tl.grad(f) is tl.grad(f)
    assert tl.grad(f, 0) is not tl.grad(f, (0,))


def test_a_transformed_function_looks_like_the_function():
    def loss(x):
        """How bad."""
        return np.sum(x)

    assert tl.grad(loss).__name__ == "loss"
    assert tl.grad(loss).__doc__ == "How bad."
    assert tl.vmap(loss).__wrapped__ is loss


INTEGER = r"test_transforms.py:\d+: a gradient is with respect to floating-point arguments; given: "


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        (np.arange(3), "p: dtype int64"),
        (np.array([True]), "p: dtype bool"),
        (3, "p: "),
        (True, "p: "),
        ({"w": X, "n": np.arange(3)}, r"p\['n'\]: dtype int64"),
        ([X, (2,)], r"p\[1\]\[0\]: "),
    ],
    ids=["integers", "booleans", "int", "bool", "in a dict", "in a list"],
)
def test_a_gradient_of_integers_names_the_leaf(run, argument, given):
    def total(p):
        return sum(np.sum(leaf) * 1.0 for leaf in flatten(p)[0])

    with pytest.raises(DifferentiationError, match=INTEGER + given):
        run(lambda p: tl.grad(total)(p), argument)


@pytest.mark.parametrize(
    ("fn", "given"),
    [
        (lambda x: x * 2, r"f64\[3\]"),
        (lambda x: np.argmax(x), r"i64\[\]"),
        (lambda x: np.any(x > 0), r"bool\[\]"),
        (lambda x: (np.sum(x), 1.0), "tuple"),
        (lambda x: None, "NoneType None"),
        (lambda x: "abc", "str 'abc'"),
    ],
)
def test_a_gradient_is_of_a_floating_point_scalar(run, fn, given):
    with pytest.raises(
        DifferentiationError, match=rf"test_transforms.py:\d+: .*must return one; given: {given}"
    ):
        run(lambda x: tl.grad(fn)(x), X)


@pytest.mark.parametrize("argnums", [2, -3, "z", (0, "q"), 1.5])
def test_argnums_must_name_arguments_of_the_call(run, argnums):
    with pytest.raises(ArgumentError, match=r"argnums selects an argument .*\['x', 'y'\]; given: "):
        run(lambda x: tl.grad(lambda x, y: np.sum(x * y), argnums)(x, x), X)


def test_has_aux_wants_a_pair(run):
    with pytest.raises(ArgumentError, match=r"with has_aux, .* returns \(value, aux\); given: "):
        run(lambda x: tl.value_and_grad(lambda x: np.sum(x), has_aux=True)(x), X)


def test_transforming_a_value_is_refused():
    with pytest.raises(
        ArgumentError, match=r"takes a function; given: float(.|\n)*tl.grad\(f\)\(x\)"
    ):
        tl.grad(3.0)


def test_cotangents_and_tangents_must_fit(run):
    with pytest.raises(ArgumentError, match="the cotangent is structured like out"):
        run(lambda x: tl.vjp(lambda x: (x, x), x)[1](x), X)
    with pytest.raises(ShapeError, match=r"the cotangent\[1\] has the shape of out\[1\], \(3,\)"):
        run(lambda x: tl.vjp(lambda x: (x, x), x)[1]((x, x[:2])), X)
    with pytest.raises(ArgumentError, match="tangents is structured like primals"):
        run(lambda x: tl.jvp(lambda x: x, (x,), (x, x)), X)
    with pytest.raises(ShapeError, match=r"tangents\[0\] has the shape of primals\[0\], \(3,\)"):
        run(lambda x: tl.jvp(lambda x: x, (x,), (x[:1],)), X)
    with pytest.raises(DifferentiationError, match=r"a derivative is .*given: a: "):
        run(lambda x: tl.jvp(lambda a, b: a * b, (3, x), (1, x)), X)
    with pytest.raises(DifferentiationError, match=r"a cotangent is .*given: b: dtype int64"):
        run(lambda x: tl.vjp(lambda a, b: a * b, x, np.arange(3)), X)


def test_jacobians_are_of_and_with_respect_to_floats(run):
    with pytest.raises(DifferentiationError, match="Jacobian is of floating-point results"):
        run(lambda x: tl.jacobian(lambda x: (x, np.argmax(x)))(x), X)
    with pytest.raises(DifferentiationError, match="a Jacobian is with respect to floating-point"):
        run(lambda x: tl.jacfwd(lambda x: x * 1.0)(x), np.arange(3))


def test_vmap_axes_must_fit(run):
    with pytest.raises(ArgumentError, match="in_axes has an entry for each of the 2 arguments"):
        run(lambda x: tl.vmap(lambda a, b: a * b, (0,))(x, x), X)
    with pytest.raises(ArgumentError, match="axes are integers, None, or a container like"):
        run(lambda x: tl.vmap(lambda a: a["u"], ({"v": 0},))({"u": x}), X)
    with pytest.raises(ArgumentError, match="out_axes are integers"):
        run(lambda x: tl.vmap(lambda a: a, 0, None)(x), X)
    with pytest.raises(ShapeError, match="vmap maps over"):
        run(lambda x: tl.vmap(lambda a, b: a * b)(x, x[:2]), X)


def test_a_custom_vjp_needs_its_derivative(run):
    lonely = tl.custom_vjp(lambda x: x * 2)
    with pytest.raises(ArgumentError, match="derivative defined before it is used"):
        run(lambda x: tl.grad(lambda x: np.sum(lonely(x)))(x), X)


def test_forward_mode_through_a_custom_vjp_is_refused(run):
    clipped = make_clipped()
    with pytest.raises(DifferentiationError, match="custom_vjp, which defines reverse mode only"):
        run(lambda x: tl.jvp(lambda x: clipped(x, 0.0), (x,), (x,))[1], X)
