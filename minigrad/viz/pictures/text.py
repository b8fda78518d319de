"""A graph as an outline in plain text, indented by modules, in the order in which it ran: what str() of a Drawing is.

Net  21 578 parameters
  features Sequential  19 008 parameters
    0 Conv2d  320 parameters
      weight  32×1×3×3  parameter
      conv2d:1  16×32×8×8  ← x: input, weight, bias
"""

from ..model import MODULE, OPERATION, STUB, Graph, Group
from ..style import KINDS, number
from ..words import folded, kept, marked, own_name, parameters_of, printable, repeats, shape_of, statistic

INDENT = "  "


def outline(graph: Graph, options) -> str:
    """The graph as lines of text, with what the `options` of viz.graph ask for. No line holds control characters."""
    return "\n".join(_Outline(graph, options).lines()) + "\n"


class _Outline:
    def __init__(self, graph, options):
        self.graph, self.options = graph, options
        self.arriving: dict = {}
        for e in graph.edges:
            self.arriving.setdefault(e.target, []).append(e)
        self.inside = self._by_groups()

    def _by_groups(self):
        """{id of a group: the nodes and groups in it}, in the order in which they ran, leaves before who takes them."""
        nodes = self.graph.nodes
        order: dict = {}
        for n in nodes.values():
            if n.id in self.arriving or n.kind in (OPERATION, MODULE, STUB):
                taken = (nodes[e.source] for e in self.arriving.get(n.id, ()))
                order |= {leaf.id: leaf for leaf in taken if leaf.id not in self.arriving and leaf.id not in order}
                order.setdefault(n.id, n)
        order |= nodes  # leaves that nothing takes; the others keep their places
        inside: dict = {"": []}
        for n in order.values():
            thing = n
            for id in self.graph.ancestors(n.group):
                known = id in inside
                inside.setdefault(id, []).append(thing)
                thing = self.graph.groups[id]
                if known:
                    break
            else:
                inside[""].append(thing)
        return inside

    def lines(self):
        title = self.graph.title
        if title and title not in self.graph.groups:
            yield printable(title)
        if not self.graph.nodes:
            yield "nothing was recorded"
        left = [iter(self.inside[""])]
        while left:
            thing = next(left[-1], None)
            indent = INDENT * (len(left) - 1)
            if thing is None:
                left.pop()
            elif isinstance(thing, Group):
                yield indent + "  ".join(self._group(thing))
                left.append(iter(self.inside[thing.id]))
            else:
                yield indent + "  ".join(filter(None, self._node(thing)))
                yield from (indent + INDENT + line for line in self._more(thing))
        for note in self.graph.notes:
            yield from folded(note, 120)

    def _group(self, g):
        name = own_name(g.id, g.parent)
        yield printable(g.kind if name == g.kind else f"{name} {g.kind}")
        if g.repeat > 1:
            yield printable(repeats(g))
        if g.parameters and self.options.parameters:
            yield parameters_of(g, self.graph.groups.get(g.parent))
        yield from (printable(marked(mark, text)) for mark, text in g.marks.items())

    def _node(self, n):
        yield self._name(n.id, n.group)
        if n.repeat > 1:
            yield f"× {n.repeat}"
        yield shape_of(n, self.options)
        if n.kind in (MODULE, STUB):
            yield printable(n.label)
            yield parameters_of(n, self.graph.groups.get(n.group)) if self.options.parameters else ""
        elif n.kind != OPERATION:
            yield KINDS[n.kind][3]
        yield self._taken(n)
        yield statistic(n, self.options.color)
        for mark, text in n.marks.items():
            yield f"[{printable(marked(mark, text))}]"

    def _taken(self, n):
        """← x: input, weight: what an operation takes, with the names of the operands."""
        found = []
        for e in self.arriving.get(n.id, ()):
            text = self._name(e.source, n.group)
            text = f"{printable(e.label)}: {text}" if e.label and e.label != text else text
            more = [] if e.kind == "value" else [e.kind]
            more += [f"× {e.count}"] if e.count > 1 else []
            more += [f"grad {number(e.grad_norm)}"] if self.options.gradients and e.grad_norm is not None else []
            more += [marked(mark, text) for mark, text in e.marks.items()]
            found.append(f"{text} ({', '.join(map(printable, more))})" if more else text)
        return f"← {', '.join(found)}" if found else ""

    def _name(self, id, around):
        """A node's id without the group that it is in, where that is `around`."""
        group = self.graph.nodes[id].group
        inner = id.removeprefix(f"{group}/").removeprefix(f"{group}.") if group and group == around else id
        return printable(inner)

    def _more(self, n):
        if self.options.lines and n.place:
            yield printable(n.place)
        if self.options.saved:
            yield from (printable(kept(s)) for s in n.saved)
