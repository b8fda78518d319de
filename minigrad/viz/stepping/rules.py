"""Local rules: the gradient formula of an operation as a text, read from its code, with this node's facts put in.

    rule_of(node)            # of y = x * z
    d(mul): gy * b, gy * a   # gy is the gradient of the output; a and b are the inputs by forward's names

It is the `backward` that the engine calls, a method or a lambda, without what makes it fast: questions for who wants a
gradient are answered with yes, and facts of the node (an axis, an exponent) with their values. So `pow` of x ** 3 reads
gy * (3 * x ** 2). A formula with loops is shown as the code that it is.
"""

import ast
import inspect
import linecache
import textwrap
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from ...tape.provenance import input_names
from ..words import printable
from .reading import Unreadable, copied, read

LONG = 72  # letters of a gradient in which no name of the code is left; longer ones keep their names
LINES = 12  # of code that is shown as it is


@dataclass(frozen=True)
class Rule:
    """The gradients of an operation's inputs, as texts.

    Holds: operation - its name. formula - of its output, from its docstring, or "". gradients - {name of the input:
           formula}, empty where the code does not say it input by input. given - (name, formula) of what they use.
           code - what it is then, in lines; "" too where there is no source. helpers - {method that they call: what its
           docstring says}. incoming - what it calls the gradient of the output.
    """

    operation: str
    formula: str
    gradients: dict
    given: tuple = ()
    code: str = ""
    helpers: dict = field(default_factory=dict)
    incoming: str = "gy"
    trees: dict = field(default_factory=dict, repr=False, compare=False)

    def __str__(self):
        if self.gradients:
            given = f", where {', '.join(f'{name} = {text}' for name, text in self.given)}" if self.given else ""
            return f"d({self.operation}): {', '.join(self.gradients.values())}{given}"
        if self.code:
            return f"d({self.operation}): {self.code}"
        return f"d({self.operation}): no source to be had" + (f"; {self.formula}" if self.formula else "")

    def worked(self, name, numbers) -> str:
        """The gradient of the input `name` with `numbers`, {name: float}, in place of names; "" if they are not all.

        `cos(x)` becomes `cos(0.5)`. Only for formulas of numbers: in one of arrays they would not fit in a line.
        """
        tree = self.trees.get(name)
        if tree is None:
            return ""
        free = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        if self.given or not (free - called) <= numbers.keys() | {"inf", "nan", "pi", "e"}:
            return ""
        text = _text(_Numbers(numbers, called).visit(copied(tree)))
        return text if len(text) <= LONG else ""


def rule_of(node) -> Rule:
    """The Rule of the operation `node`, a Function that has run."""
    function = _formula_of(type(node))
    names = input_names(node, len(node.edges))
    doc = (type(node).__doc__ or "").strip().partition("\n")[0].partition("      ")[0].rstrip(".")
    made = None
    tree = None if function is None else _source(function)
    gy = tree.args.args[1].arg if tree is not None and len(tree.args.args) > 1 else "gy"
    for inline in (True, False) if tree is not None else ():
        with suppress(Unreadable):
            found, given, helpers = read(node, function, tree, inline)
            trees = dict(zip(names, found, strict=True))
            texts = {name: _text(t) for name, t in trees.items()}
            given = tuple((name, _text(t)) for name, t in given)
            helpers = {name: text for name, text in helpers.items() if f"{name}(" in " ".join(texts.values())}
            made = Rule(printable(node.name), printable(doc), texts, given, "", helpers, gy, trees)
            if max(map(len, texts.values()), default=0) <= LONG:
                break
    code = "" if tree is None else _code(function, tree)
    return made or Rule(printable(node.name), printable(doc), {}, code=code, incoming=gy)


# --- where the formula is ----------------------------------------------------------------------------------------


def _formula_of(kind):
    """The `backward` of a class of operations; where a kernel of a device stands in for a formula, the formula."""
    for base in kind.__mro__:
        found = vars(base).get("backward")
        if found is not None:
            function = inspect.unwrap(found)
            code = getattr(function, "__code__", None)
            if code is None:
                return None
            several = bool(code.co_flags & inspect.CO_VARARGS)
            if not several or kind.needs_rest is not None or not kind.needs:
                return function
    return None


def _source(function):
    """The ast.Lambda or ast.FunctionDef that `function` was made of; None where that cannot be told."""
    code = function.__code__
    return _made_of(code, "".join(linecache.getlines(code.co_filename, function.__globals__)))


@lru_cache(maxsize=16)
def _parsed(text):
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


@lru_cache(maxsize=256)  # to look through a file takes 5 ms
def _made_of(code, text):
    tree = _parsed(text)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    found = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            args = tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
            if first == code.co_firstlineno and args == names and _same_kind(node, code):
                found.append(node)
    if len(found) > 1:  # several lambdas in a line: by the columns of its instructions
        spots = [(a, c) for a, _, c, _ in code.co_positions() if a is not None and c]
        found = [n for n in found if isinstance(n, ast.Lambda) and all(_covers(n.body, *spot) for spot in spots)]
    return found[0] if len(found) == 1 else None


def _same_kind(node, code):
    return (code.co_name == "<lambda>") if isinstance(node, ast.Lambda) else node.name == code.co_name


def _covers(node, line, column):
    """Whether a place in the file is in `node`."""
    return (node.lineno, node.col_offset) <= (line, column) <= (node.end_lineno, node.end_col_offset)


# --- writing it --------------------------------------------------------------------------------------------------


class _Numbers(ast.NodeTransformer):
    """Numbers in place of names and of long constants."""

    def __init__(self, numbers, called=()):
        self.numbers, self.called = numbers, called

    def visit_Name(self, node):
        return _number(self.numbers[node.id]) if node.id in self.numbers and node.id not in self.called else node

    def visit_Constant(self, node):
        return _number(node.value) if type(node.value) in (int, float) else node


def _number(x):
    text = f"{abs(x):.6g}" if type(x) is float else str(abs(x))
    return ast.UnaryOp(ast.USub(), ast.Name(text)) if x < 0 else ast.Name(text)  # so -2 is put in brackets


def _text(tree):
    return printable(ast.unparse(_Numbers({}).visit(copied(tree))))


def _code(function, tree):
    """The formula as it is written, without its head and its docstring; in a lambda, what follows the colon."""
    if isinstance(tree, ast.Lambda):
        return _text(tree.body)
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    body = tree.body[1:] if ast.get_docstring(tree) and len(tree.body) > 1 else tree.body
    text = textwrap.dedent("".join(lines[body[0].lineno - 1 : body[-1].end_lineno])).rstrip()
    lines = [printable(line) for line in text.split("\n")]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], f"… {len(lines) - LINES + 1} more lines"])
