"""docs/conventions.md says what gradients are at kinks, ties, zeros and NaN: each row of its tables is computed."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "conventions.md").read_text()
ROWS = re.findall(r"^\| `(.+?)` \| `(\[.*?\])` \| `(\[.*?\])` \|(?: `(\[.*?\])` \|)?", PAGE, re.MULTILINE)
NUMBERS = {"inf": np.inf, "nan": np.nan}
rows = pytest.mark.parametrize(("function", "at", "said", "of_torch"), ROWS, ids=[f"{f} at {x}" for f, x, *_ in ROWS])


def gradient(lib, functional, function, at):
    x = lib.tensor(eval(at, NUMBERS), dtype=lib.float64, requires_grad=True)
    names = {name: getattr(lib, name) for name in re.findall(r"[a-z]\w+", function) if hasattr(lib, name)}
    names |= {"F": functional, "x": x, "i": lib.tensor([0, 0, 1]), "float": float, "linalg": lib.linalg}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        eval(function, names).sum().backward()
    return x.grad.tolist()


def compare(found, said):
    np.testing.assert_allclose(found, eval(said, NUMBERS), rtol=1e-3, atol=1e-12)


@rows
def test_gradients_are_what_the_page_says(function, at, said, of_torch):
    compare(gradient(mg, F, function, at), said)


@pytest.mark.torch
@rows
def test_they_are_those_of_torch_or_the_page_says_so(function, at, said, of_torch):
    torch = pytest.importorskip("torch")
    found = gradient(torch, torch.nn.functional, function, at)
    compare(found, of_torch or said)
    if of_torch:
        with pytest.raises(AssertionError):
            compare(found, said)


def test_the_page_has_its_rows():
    assert len(ROWS) > 60 and sum(bool(row[3]) for row in ROWS) == 3
    with pytest.raises(AssertionError):
        compare([1.0], "[0.5]")
