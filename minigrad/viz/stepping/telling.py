"""The steps of a backward in words: a page of text, and a table for a notebook.

step 2  mul:1                  y = a * b
  comes in    gy = 1
  rule        d(mul): gy * b, gy * a
  values      operand a = 2, from x
  to x (operand a)  gy * b = 1 * 3 = 3
"""

import html

from ..words import printable

SHOWN = 100  # steps that str() tells
SHORT = 24  # letters of a value of the forward that is listed
VALUES = 12  # values of the forward that are listed
PARTS = 8  # of the gradient of a leaf
LONG = 110  # letters of a line with a sum


def text(steps) -> str:
    """All steps, numbered, and the gradients of the leaves."""
    return _page(steps, len(steps))


def shortened(steps) -> str:
    """`text`, with the first SHOWN steps only."""
    return _page(steps, SHOWN)


def _page(steps, most):
    lines = [*_head(steps), ""]
    for step in steps[:most]:
        lines += [*of_step(step), ""]
    if len(steps) > most:
        lines += [f"… {len(steps) - most} more steps; .save('steps.txt') writes all", ""]
    leaves = [(printable(leaf.id), of_leaf(leaf)) for leaf in list(steps.leaves.values())[:most]]
    lines += ["leaves", *aligned(leaves)]
    if len(steps.leaves) > most:
        lines.append(f"  … {len(steps.leaves) - most} more")
    return "\n".join(lines) + "\n"


def aligned(rows):
    """Pairs (name, text) as lines, the texts below each other."""
    width = max([10, *(len(name) for name, _ in rows)])
    return [f"  {name.ljust(width)}  {text}".rstrip() for name, text in rows]


def title(steps) -> str:
    """What this is the backward of, in a line."""
    return (
        f"backward of {printable(steps.start[0])}: {_count(len(steps), 'step')} to {_count(len(steps.leaves), 'leaf')}"
    )


def _count(n, what):
    several = "leaves" if what == "leaf" else f"{what}s"
    return f"{n} {what if n == 1 else several}"


def _head(steps):
    rows = [("begins", f"{printable(steps.start[0])} with {steps.start[1]}")]
    values = [f"{printable(id)} = {amount}" for id, amount in steps.values.items() if len(str(amount)) <= SHORT]
    if values:
        more = [f"… {len(values) - VALUES} more"] if len(values) > VALUES else []
        rows.insert(0, ("forward", ", ".join([*values[:VALUES], *more])))
    return [title(steps), *aligned(rows)]


def of_step(step) -> list:
    """The lines that tell a Step."""
    head, rows = parts_of(step)
    return [head, *aligned(rows)]


def parts_of(step) -> tuple:
    """A Step as its headline, and rows, pairs (name, text)."""
    head = f"step {step.number}  {printable(step.id)}"
    rows = [("line", printable(step.place))] if step.place else []
    for output, amount in step.incoming.items():
        which = step.rule.incoming if output is None else f"{step.rule.incoming}[{output}]"
        rows.append(("comes in", amount.of(which)))
    first, *rest = str(step.rule).split("\n")
    rows += [("rule", first), *(("", f"  {line}") for line in rest)]
    rows += [("", f"{name}: {said}") for name, said in step.rule.helpers.items()]
    rows += [("" if i else "values", of_operand(step, operand)) for i, operand in enumerate(step.operands)]
    for flow in step.flows:
        first, *rest = of_flow(step, flow)
        rows += [(f"to {target(flow)}", first), *(("", line) for line in rest)]
    rows += [("remark", remark) for remark in step.remarks]
    return f"{head.ljust(30)}  {step.rule.formula}".rstrip(), rows


def target(flow) -> str:
    """Where a Flow goes: x; split:1, output 0; and as what, if the formula calls it otherwise."""
    output = "" if flow.output is None else f", output {flow.output}"
    return f"{printable(flow.to)}{output}" + (f" (operand {flow.name})" if flow.name != flow.to else "")


def of_operand(step, operand) -> str:
    """A value that a rule uses: operand a = 6, from mul:1. So its names are not taken for those of the user."""
    what = "output" if operand.of == step.id else "operand" if operand.of else "kept"
    from_ = f", from {printable(operand.of)}" if what == "operand" else ""
    name = f"{what} {operand.name}"
    if all(amount.value is not None for amount in operand.amounts):
        return f"{name} = {'; '.join(map(str, operand.amounts))}{from_}"
    return f"{name}{from_}: {'; '.join(map(str, operand.amounts))}"


def of_flow(step, flow) -> list:
    """A Flow in lines: how the gradient came about, what was summed, and to what it was added."""
    parts = [step.rule.gradients.get(flow.name, flow.name)]
    if flow.worked and flow.worked != parts[0]:
        parts.append(flow.worked)
    line = " = ".join(parts)
    lines = [line if str(flow.gradient) == parts[-1] else flow.gradient.of(line)]
    if flow.summed is not None:
        lines.append(f"{flow.remark}: {flow.summed}")
    if flow.before is not None:
        lines += added([flow.before, flow.arrived], flow.total)
    return lines


def added(amounts, total) -> list:
    """A sum in words, in a line or in three."""
    first, second = (f"({a})" if i and str(a).startswith("-") else str(a) for i, a in enumerate(amounts))
    line = f"added to what is there: {first} + {second} = {total}"
    return [line] if len(line) <= LONG else [f"added to what is there: {first}", f"+ {second}", f"= {total}"]


def of_leaf(leaf) -> str:
    """The gradient of a leaf, and the steps from which it came."""
    text = str(leaf.gradient)
    if len(leaf.parts) > 1:
        parts = [f"{amount.brief} (step {k})" for k, amount in leaf.parts[:PARTS]]
        more = [f"{len(leaf.parts) - PARTS} more"] if len(leaf.parts) > PARTS else []
        text += f", the sum of {', '.join(parts + more)}"
    return text + (f"; {leaf.remark}" if leaf.remark else "")


def table(steps) -> str:
    """HTML: a row for each step, and one for each leaf."""
    names = "step", "operation", "comes in", "rule", "goes out"
    rows = [f"<tr>{''.join(f'<th {_TITLE}>{name}</th>' for name in names)}</tr>"]
    rows += [_row(*_cells(step)) for step in steps[:SHOWN]]
    if len(steps) > SHOWN:
        rows.append(_row([f"… {len(steps) - SHOWN} more"], [], [], [], []))
    rows += [_row(["leaf"], [leaf.id], [of_leaf(leaf)]) for leaf in list(steps.leaves.values())[:SHOWN]]
    first, *rest = _head(steps)
    head = f"<b>{_lines([first])}</b><br>{_lines(line.strip() for line in rest)}"
    return f"<div {_FRAME}><p>{head}</p><table {_TABLE}>{''.join(rows)}</table></div>"


def _cells(step):
    incoming = [str(a) if i is None else f"output {i}: {a}" for i, a in step.incoming.items()]
    rule = [*str(step.rule).split("\n"), *(of_operand(step, operand) for operand in step.operands)]
    flows = [[f"{target(flow)}: {first}", *rest] for flow in step.flows for first, *rest in [of_flow(step, flow)]]
    return [str(step.number)], [step.id], incoming, rule, [line for lines in flows for line in lines] + step.remarks


def _row(*cells):
    """A row; its last cell takes the columns that are left."""
    number, *others, last = (_lines(lines) for lines in cells)
    middle = "".join(f"<td {_CELL}>{text}</td>" for text in others)
    return f'<tr><td {_CELL}><b>{number}</b></td>{middle}<td colspan="{6 - len(cells)}" {_CELL}>{last}</td></tr>'


# Inline, as notebooks drop <style>. Colours of the text around and a half-clear grey suit bright and dark paper.
_BORDER = "text-align:left;vertical-align:top;padding:4px 10px;border:0;border-bottom:1px solid rgba(128,128,128,.35)"
_FRAME = 'style="overflow-x:auto;color:inherit"'
_TABLE = (
    'style="border-collapse:collapse;color:inherit;background:none;font:12px/1.5 ui-monospace,Menlo,Consolas,monospace"'
)
_TITLE = f'style="{_BORDER};font-weight:bold;background:rgba(128,128,128,.15)"'
_CELL = f'style="{_BORDER};background:none"'


def _lines(texts):
    return "<br>".join(html.escape(printable(text)) for text in texts)
