"""Small parameters of one dtype, laid end to end and updated as one array.

A pass over a small array is nearly all call overhead, and Adam makes twelve passes per parameter. A bundle gathers
parameters and gradients (two concatenations), makes the passes once, and writes the parameters back. The buffers of
the state are views of the bundle's own arrays. Six parameters of a 64-64-32-10 network: 47 us without, 31 us with.
"""

SMALL = 1 << 14  # bytes; above, copying costs what the calls save


class Bundle:
    """The arrays for `variables`, whose states each hold the buffers `names`. Used by `Optimizer.step`."""

    def __init__(self, xp, variables, states, names):
        self.xp, self.variables, self.names = xp, variables, names
        dtype = variables[0].data.dtype
        ends = [0]
        for v in variables:
            ends.append(ends[-1] + v.data.size)
        self.p, self.g = xp.empty(ends[-1], dtype), xp.empty(ends[-1], dtype)
        self.buffers = [xp.empty(ends[-1], dtype) for _ in names]
        self.parts = [self.p[a:b].reshape(v.data.shape) for v, a, b in zip(variables, ends, ends[1:], strict=False)]
        self.views = []  # per variable, in the order of names
        for v, state, a, b in zip(variables, states, ends, ends[1:], strict=False):
            views = [whole[a:b].reshape(v.data.shape) for whole in self.buffers]
            for name, view in zip(names, views, strict=True):
                view[...] = state[name]
                state[name] = view
            self.views.append(views)

    def fits(self, variables, states, names) -> bool:
        """True if the bundle is of these parameters, and nobody has put other arrays into their states."""
        return (
            len(variables) == len(self.variables)
            and names == self.names
            and all(
                v is mine and part.shape == v.data.shape and all(state.get(n) is b for n, b in zip(names, views))  # noqa: B905
                for v, mine, part, state, views in zip(variables, self.variables, self.parts, states, self.views)  # noqa: B905
            )
        )

    def gather(self):
        """Take in the parameters and their gradients."""
        self.xp.concatenate([v.data.reshape(-1) for v in self.variables], out=self.p)
        self.xp.concatenate([v.grad.data.reshape(-1) for v in self.variables], out=self.g)

    def scatter(self):
        """Write the parameters back."""
        for v, part in zip(self.variables, self.parts, strict=True):
            v.data[...] = part
