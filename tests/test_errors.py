"""What is refused: a table of calls. Each message names the place, what was expected, what came, and the remedy; and a
refusal changes nothing.
"""

import importlib.metadata

import numpy as np
import pytest
from double import absent

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.errors import (
    DeviceError,
    DTypeError,
    GraphError,
    IndexRangeError,
    MinigradError,
    ShapeError,
)


def names():
    """What the calls below are made of: leaves with a gradient, and results of them."""
    x, v = mg.ones(2, 3, requires_grad=True), mg.ones(3, requires_grad=True)
    w, image = mg.ones(4, 5, requires_grad=True), mg.ones(1, 3, 5, 5, requires_grad=True)
    kernel = mg.ones(2, 4, 3, 3, requires_grad=True)
    for leaf in (x, v, w, image, kernel):
        leaf.grad = mg.full(leaf.shape, 7.0)
    variables = {"x": x, "v": v, "w": w, "image": image, "kernel": kernel, "h": x * 2, "n": mg.tensor([1, 2])}
    return {**variables, "mg": mg, "F": F, "np": np, "gone": _used_up(x), "spoiled": _spoiled(x), "ones": mg.ones}


def _used_up(x):
    y = (x * x).sum()
    mg.grad(y, x)
    return y


def _spoiled(x):
    h = x * 1
    y = (h * h).sum()
    h.add_(1)
    return y


ERRORS = [
    # --- products ---
    ("F.linear(x, w)", ShapeError, r"linear: x has 3 features, weight expects 5; x is \(2, 3\), weight \(4, 5\)"),
    ("F.linear(w, w, v)", ShapeError, r"linear: bias must be \(4,\) to match weight \(4, 5\), got \(3,\)"),
    ("F.linear(v, v)", ShapeError, r"linear: weight must be \(out_features, in_features\), and is \(3,\)"),
    ("F.linear(mg.tensor(1.0), w)", ShapeError, r"linear: x has no features, weight expects 5"),
    ("F.linear(w.double(), w)", DTypeError, r"linear: x is float64, weight float32; write x\.to\(weight\.dtype\)"),
    ("x @ x", ShapeError, r"matmul: a has 3 columns, b 2 rows; a is \(2, 3\), b \(2, 3\)"),
    ("x @ ones(2)", ShapeError, r"matmul: the inner sizes differ; a is \(2, 3\), b \(2,\)"),
    ("image @ ones(4, 2)", ShapeError, r"matmul: a has 5 columns, b 4 rows; a is \(1, 3, 5, 5\), b \(4, 2\)"),
    ("ones(2, 3, 4) @ ones(3, 4, 5)", ShapeError, r"matmul: the leading axes of a \(2, 3, 4\) and b \(3, 4, 5\)"),
    ("x @ mg.tensor(1.0)", ShapeError, r"matmul: both need at least one axis; .*write a \* b"),
    (
        "x @ mg.ones(3, 2, dtype=mg.int64)",
        DTypeError,
        r"matmul: x is float32, other int64; write x\.to\(other\.dtype\)",
    ),
    # --- broadcasting ---
    (
        "x + ones(2)",
        ShapeError,
        r"add: shapes \(2, 3\) and \(2,\) do not broadcast: axis -1 is 2 and 3, and must be equal",
    ),
    ("x * ones(4, 1, 2)", ShapeError, r"mul: shapes \(2, 3\) and \(4, 1, 2\) do not broadcast: axis -1"),
    ("mg.maximum(x, ones(3, 3))", ShapeError, r"maximum: shapes .* do not broadcast: axis -2 is 2 and 3"),
    ("mg.where(x > 0, x, ones(4))", ShapeError, r"where: shapes \(2, 3\) and \(2, 3\) and \(4,\) do not broadcast"),
    ("mg.where(x, x, 0)", DTypeError, r"where: condition must be bool, got float32; write x > 0 or x\.bool\(\)"),
    ("x < ones(2)", ShapeError, r"lt: shapes \(2, 3\) and \(2,\) do not broadcast"),
    ("x.clamp()", TypeError, "clamp: give min, max or both"),
    # --- shapes ---
    ("x.reshape(4, 2)", ShapeError, r"reshape: \(2, 3\) has 6 elements, which do not fit into \(4, 2\)"),
    ("x.reshape(-1, 4)", ShapeError, r"reshape: \(2, 3\) has 6 elements, which do not fit into \(-1, 4\)"),
    ("x.reshape(-1, -1)", ShapeError, r"reshape: only one size can be left to infer \(-1\), and \(-1, -1\) has more"),
    ("x.reshape(-2, 3)", ShapeError, r"reshape: .*\(-2, 3\)"),
    ("x.flatten(1, 0)", ShapeError, r"flatten: start_dim 1 comes after end_dim 0; x is \(2, 3\)"),
    ("x.squeeze(2)", IndexRangeError, r"squeeze: dim 2 is outside of -2\.\.1; x is \(2, 3\)"),
    ("x.unsqueeze(-4)", IndexRangeError, r"unsqueeze: dim -4 is outside of -3\.\.2; x is \(2, 3\)"),
    ("x.permute(0, 0)", ShapeError, r"permute: \(0, 0\) does not name each axis of x \(2, 3\) once"),
    ("x.transpose(0, 2)", IndexRangeError, r"transpose: dim 2 is outside of -2\.\.1"),
    ("image.t()", ShapeError, r"t: expected at most 2 axes, got \(1, 3, 5, 5\); write \w+\.transpose\(-1, -2\)"),
    ("x.expand(2, 4)", ShapeError, r"expand: x \(2, 3\) does not broadcast to \(2, 4\): only axes of size 1 can grow"),
    ("x.expand(-1, 2, 3)", ShapeError, r"expand: -1 stands for an axis that x has"),
    ("mg.cat([])", ShapeError, "cat: expected at least one tensor, got none"),
    ("mg.cat([x, w])", ShapeError, r"cat: shapes may differ along dim 0 only: \(2, 3\), \(4, 5\)"),
    ("mg.cat([x, ones(2)], 1)", ShapeError, r"cat: .*\(2, 3\), \(2,\)"),
    ("mg.cat([mg.tensor(1.0), mg.tensor(2.0)])", ShapeError, r"cat: .*\(\)"),
    ("mg.cat([x, x], 2)", IndexRangeError, r"cat: dim 2 is outside of -2\.\.1; x is \(2, 3\)"),
    ("mg.stack([])", ShapeError, "stack: expected at least one tensor, got none"),
    ("mg.stack([x, w])", ShapeError, r"stack: the shapes differ: \(2, 3\), \(4, 5\)"),
    ("mg.stack([x], 3)", IndexRangeError, r"stack: dim 3 is outside of -3\.\.2"),
    ("x.split([1, 1], 1)", ShapeError, r"split: the sizes \[1, 1\] add up to 2, and x \(2, 3\) has 3 along 1"),
    ("x.split(0)", ShapeError, "split: .*0"),
    ("x.split(-1)", ShapeError, "split: .*-1"),
    ("x.chunk(0)", ShapeError, "chunk: .*0"),
    ("F.pad(x, (1,))", ShapeError, r"pad: expected up to 4 widths in pairs for x \(2, 3\), got \(1,\)"),
    ("F.pad(x, (-2, -2))", ShapeError, r"pad: the widths \(-2, -2\) crop more than the 3 elements of axis 1"),
    (
        "F.pad(x, (3, 0), 'reflect')",
        ShapeError,
        "pad: reflect needs more than 3 elements along the axis, and there are 3",
    ),
    ("F.pad(x, (1, 1), 'mirror')", ShapeError, "pad: mode 'mirror' is unknown: expected \"constant\", 'reflect'"),
    # --- windows ---
    ("F.conv2d(image, kernel)", ShapeError, r"conv2d: weight expects 4 channels, x has 3; x is \(1, 3, 5, 5\), weight"),
    ("F.conv2d(ones(1, 5, 5, 4), kernel)", ShapeError, r"channels come second: is x \(n, h, w, c\)\?"),
    ("F.conv2d(x, kernel)", ShapeError, r"conv2d: expected x \(n, c, h, w\) and weight \(o, c, i, j\); x is \(2, 3\)"),
    (
        "F.conv2d(ones(1, 4, 2, 2), kernel)",
        ShapeError,
        r"conv2d: the kernel \(3, 3\) .* is larger than the padded image",
    ),
    (
        "F.conv2d(ones(1, 8, 5, 5), kernel, groups=3)",
        ShapeError,
        r"conv2d: groups=3 must divide the channels of x \(8\)",
    ),
    ("F.conv2d(ones(1, 4, 5, 5), kernel, v)", ShapeError, r"conv2d: bias must be \(2,\) to match weight"),
    ("F.conv2d(ones(1, 4, 5, 5), kernel, stride=0)", ShapeError, "conv2d: stride and dilation must be at least 1"),
    ("F.conv2d(ones(1, 4, 5, 5), kernel, stride=1.5)", ShapeError, "conv2d: stride must be an int or two, got 1.5"),
    ("F.conv2d(ones(1, 4, 5, 5), kernel, padding=-1)", ShapeError, "conv2d: padding must not be negative, got -1"),
    (
        "F.conv2d(ones(1, 4, 5, 5), kernel, padding='full')",
        ShapeError,
        'conv2d: padding must be an int, a pair, "same"',
    ),
    ("F.conv2d(ones(1, 4, 5, 5), kernel, None, 2, 'same')", ShapeError, 'conv2d: padding="same" needs stride 1'),
    ("F.conv2d(ones(1, 4, 5, 5).double(), kernel)", DTypeError, "conv2d: x is float64, weight float32; write x.to"),
    (
        "F.max_pool2d(image, 6)",
        ShapeError,
        r"max_pool2d: the window \(6, 6\) is larger than the padded image; x is \(1, 3,",
    ),
    ("F.max_pool2d(x, 2)", ShapeError, r"max_pool2d: expected x \(n, c, h, w\) or \(c, h, w\), got \(2, 3\)"),
    ("F.max_pool2d(image, 2, padding=2)", ShapeError, r"max_pool2d: padding must be between 0 and half of the kernel"),
    ("F.max_pool2d(image, (1, 2, 3))", ShapeError, r"max_pool2d: kernel_size must be an int or two, got \(1, 2, 3\)"),
    ("F.avg_pool2d(image, 2, 0)", ShapeError, "avg_pool2d: kernel_size, stride and dilation must be at least 1"),
    ("F.avg_pool2d(image, 2, divisor_override=0)", ShapeError, "avg_pool2d: divisor_override must not be 0"),
    ("F.adaptive_avg_pool2d(image, 0)", ShapeError, "adaptive_avg_pool2d: output_size must be at least 1, got 0"),
    ("F.adaptive_avg_pool2d(image, (1, 2, 3))", ShapeError, r"adaptive_avg_pool2d: output_size .*\(1, 2, 3\)"),
    # --- normalization ---
    (
        "F.batch_norm(ones(1, 3), None, None, training=True)",
        ShapeError,
        "batch_norm: training needs more than one value",
    ),
    (
        "F.batch_norm(x, None, None)",
        ShapeError,
        "batch_norm: outside of training, running_mean and running_var must be",
    ),
    ("F.batch_norm(x, ones(2), ones(2))", ShapeError, r"batch_norm: running_mean must be \(3,\) for the channels of x"),
    ("F.batch_norm(x, ones(2), ones(2), training=True)", ShapeError, r"batch_norm: running_mean must be \(3,\)"),
    ("F.batch_norm(x, None, None, ones(2), training=True)", ShapeError, r"batch_norm: weight must be \(3,\)"),
    (
        "F.batch_norm(v, None, None, training=True)",
        ShapeError,
        r"batch_norm: expected \(n, c\) or \(n, c, ...\), got \(3,\)",
    ),
    ("F.layer_norm(x, 2)", ShapeError, r"layer_norm: x must end in normalized_shape \(2,\), and is \(2, 3\)"),
    ("F.layer_norm(x, 3, ones(2))", ShapeError, r"layer_norm: weight must be \(3,\) like normalized_shape, got \(2,\)"),
    ("F.group_norm(x, 2)", ShapeError, r"group_norm: num_groups 2 must divide the channels of x \(2, 3\)"),
    # --- losses ---
    (
        "F.cross_entropy(x, mg.tensor([0, 3]))",
        IndexRangeError,
        r"cross_entropy: target 3 is outside of the 3 classes 0\.\.2",
    ),
    (
        "F.cross_entropy(x, mg.tensor([0, -1]))",
        IndexRangeError,
        r"cross_entropy: target -1 is outside of the 3 classes",
    ),
    ("F.cross_entropy(x, mg.tensor([0.0, 1.0]))", DTypeError, r"cross_entropy: .* is float32 .*write target\.long\(\)"),
    ("F.cross_entropy(x, mg.tensor([1]))", ShapeError, r"x is \(2, 3\), so target must be \(2,\), and is \(1,\)"),
    (
        "F.cross_entropy(x, n, weight=ones(2))",
        ShapeError,
        "cross_entropy: weight must have one factor for each of the 3",
    ),
    (
        "F.cross_entropy(x, x, weight=ones(2))",
        ShapeError,
        "cross_entropy: weight must have one factor for each of the 3",
    ),
    (
        "F.cross_entropy(x, n, label_smoothing=2)",
        ValueError,
        "cross_entropy: label_smoothing must be between 0 and 1, got 2",
    ),
    (
        "F.cross_entropy(x, n, reduction='avg')",
        ValueError,
        'cross_entropy: reduction must be "mean", "sum" or "none", got',
    ),
    ("F.nll_loss(x, mg.tensor([0, 3]))", IndexRangeError, "nll_loss: target 3 is outside of the 3 classes"),
    ("F.nll_loss(x, mg.tensor([0.0, 1.0]))", DTypeError, "nll_loss: the target must hold class numbers"),
    ("F.mse_loss(x, v)", ShapeError, r"mse_loss: x is \(2, 3\), target \(3,\); .*Write target\.reshape\(x\.shape\)"),
    ("F.mse_loss(x, x, 'avg')", ValueError, "mse_loss: reduction must be"),
    (
        "F.binary_cross_entropy_with_logits(x, v)",
        ShapeError,
        r"binary_cross_entropy_with_logits: x is \(2, 3\), target \(3,\)",
    ),
    (
        "F.binary_cross_entropy_with_logits(v, mg.tensor([0, 1, 1]))",
        DTypeError,
        r"must be float, .*write target\.float\(\)",
    ),
    ("F.dropout(x, 1.5)", ValueError, "dropout: p must be between 0 and 1, got 1.5"),
    ("F.dropout(x, -0.5)", ValueError, "dropout: p must be between 0 and 1, got -0.5"),
    ("F.gelu(x, 'erf')", ValueError, 'gelu: approximate must be "none" or "tanh", got \'erf\''),
    # --- axes and reductions ---
    ("x.sum(2)", IndexRangeError, r"sum: dim 2 is outside of -2\.\.1; x is \(2, 3\)"),
    ("x.sum((0, -2))", IndexRangeError, r"sum: an axis occurs twice in dim \(0, -2\)"),
    ("x.sum(1.5)", (TypeError, MinigradError), "sum: .*1.5"),
    ("x.argmax(2)", IndexRangeError, "argmax: dim 2 is outside"),
    ("x.max(-3)", IndexRangeError, "max: dim -3 is outside"),
    ("x.softmax(2)", IndexRangeError, "softmax: dim 2 is outside"),
    ("mg.softmax(x)", ShapeError, "softmax: say along which axis"),
    ("n.mean()", DTypeError, r"mean: expected floats, got int64; write x\.float\(\)"),
    ("n.var()", DTypeError, r"var: expected floats, got int64"),
    ("n.std()", DTypeError, r"std: expected floats, got int64"),
    ("mg.zeros(0).max()", ShapeError, r"max: x \(0,\) has no elements"),
    ("mg.zeros(2, 0).amin(1)", ShapeError, r"amin: x \(2, 0\) has no elements"),
    ("mg.zeros(2, 0).argmin(1)", IndexRangeError, r"argmin: input \(2, 0\) has no elements to choose from"),
    # --- indices ---
    ("x[2]", IndexRangeError, r"getitem: index 2 is out of bounds for axis 0 with size 2; x is \(2, 3\)"),
    ("x[0, 0, 0]", IndexRangeError, r"getitem: too many indices.*x is \(2, 3\)"),
    ("x[[0, 5]]", IndexRangeError, r"getitem: index 5 is out of bounds.*x is \(2, 3\)"),
    ("x[ones(2)]", IndexRangeError, "index: an index array must hold integers or bools, not float32"),
    ("x['a']", IndexRangeError, "getitem: only integers, slices"),
    ("x[[True]]", IndexRangeError, "getitem: boolean index did not match"),
    ("x.take_along_dim(mg.tensor([[5]]), 1)", IndexRangeError, r"take_along_dim: .*5.*\(2, 3\)"),
    ("x.take_along_dim(mg.tensor([0]), 1)", ShapeError, r"take_along_dim: .*\(2, 3\).*\(1,\)"),
    # --- the tape ---
    ("h.backward()", GraphError, r"backward: .*this Variable has shape \(2, 3\); reduce it, as in loss\.mean\(\)"),
    ("gone.backward()", GraphError, "backward: the values that .* saved were freed by an earlier backward"),
    ("spoiled.backward()", GraphError, r"a value \(2, 3\) that mul saved .* overwritten .*write out of place"),
    ("n.requires_grad_()", DTypeError, r"requires_grad: only floats have gradients, and this is int64.*x\.float\(\)"),
    ("mg.tensor([1], requires_grad=True)", DTypeError, r"requires_grad: .*mg\.tensor\(\[1\.0, 2\.0\]\)"),
    ("x.add_(1)", GraphError, r"add_: a leaf that requires grad .*wrap the write in `with mg\.no_grad\(\):`"),
    ("x.item()", ShapeError, r"item: only one element .* shape \(2, 3\)"),
    # --- making ---
    ("mg.tensor([[1, 2], [3]])", ShapeError, "tensor: the lists differ in length"),
    ("mg.tensor('abc')", DTypeError, "tensor: expected floats, integers or bools, got <U3"),
    ("mg.rand(2, dtype=mg.int64)", DTypeError, r"random: expected a float dtype, got int64; write mg\.randint"),
    ("mg.zeros(2, device='tpu')", DeviceError, 'device: expected "cpu", "cuda" or "cuda:1", got \'tpu\''),
    ("x.to('mps')", DeviceError, 'device: expected "cpu", "cuda" or "cuda:1", got \'mps\''),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS, ids=[row[0] for row in ERRORS])
def test_refusals(call, error, message):
    space = names()
    variables = {k: v for k, v in space.items() if isinstance(v, mg.Variable)}
    before = {k: (v.data.copy(), v.requires_grad, v.creator, v.grad) for k, v in variables.items()}
    with pytest.raises(error, match=message):
        eval(call, space)
    assert mg.is_grad_enabled() and mg.get_default_dtype() == mg.float32
    for name, v in variables.items():
        data, requires_grad, creator, grad = before[name]
        np.testing.assert_array_equal(v.data, data)
        assert v.requires_grad == requires_grad and v.creator is creator and v.grad is grad
        assert grad is None or (grad.data == 7).all()


def test_each_error_is_also_a_builtin_one():
    """Who does not know minigrad's classes catches what Python programs catch."""
    for error, builtin in ((ShapeError, ValueError), (DTypeError, TypeError), (IndexRangeError, IndexError)):
        assert issubclass(error, builtin) and issubclass(error, MinigradError)
    for error in (GraphError, DeviceError):
        assert issubclass(error, RuntimeError) and issubclass(error, MinigradError)


# --- a device that is not there ----------------------------------------------------------------------------------

ASKING = [
    "mg.zeros(2, device='{}')",
    "mg.tensor([1.0], device='{}')",
    "mg.randn(2, device='{}')",
    "mg.arange(3, device='{}')",
    "x.to('{}')",
    "x.to(device='{}')",
]


@pytest.mark.skipif(mg.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("call", [*(c.format(d) for c in ASKING for d in ("cuda", "cuda:1")), "x.cuda()", "x.cuda(1)"])
def test_cuda_without_cupy(call, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: [])
    message = r"device 'cuda(:1)?' needs CuPy, which is not installed: pip install .*mg\.cuda\.is_available\(\)"
    with absent():
        with pytest.raises(DeviceError, match=message):
            eval(call, {"mg": mg, "x": mg.ones(2)})
        assert mg.cuda.is_available() is False
