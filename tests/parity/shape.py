"""Other shapes, joining, cutting, repeating, diagonals, and making tensors."""

import numpy as np

nan, inf = np.nan, np.inf
ARRAYS = {
    "square": np.random.default_rng(1).normal(size=(4, 4)),
    "counts": np.array([2, 0, 1]),
    "whole": np.arange(12).reshape(3, 4),
    "empty": np.zeros(0),
    "holes": np.array([[nan, inf, 1.0], [-inf, 2.0, nan], [3.0, nan, -0.0]]),
}

CALLS = """
lib.reshape(a, shape=(2, 6)) | lib.reshape(input=a, shape=(-1,)) | a.reshape(shape=(2, 6)) | a.view(size=(2, -1))
lib.reshape(m, (2, 6)) | lib.reshape(scalar, (1, 1)) | lib.reshape(a.T, (2, 6)) | lib.ravel(a.T) | lib.ravel(scalar)
lib.ravel(input=deep) | lib.flatten(input=deep, start_dim=0, end_dim=1) | lib.flatten(deep, -2) | lib.flatten(v)
lib.unflatten(a, 1, (2, 2)) | lib.unflatten(a, -1, [2, -1]) | lib.unflatten(input=deep, dim=0, sizes=(1, 2, 1))
lib.squeeze(input=one, dim=-2) | lib.squeeze(a, 0) | lib.squeeze(one[:, 0, 0]) | lib.squeeze(one, (1, 2))
lib.squeeze(scalar, 0) | lib.squeeze(one, ()) | lib.unsqueeze(input=a, dim=-3) | lib.unsqueeze(scalar, 0)
lib.atleast_1d(scalar) | lib.atleast_1d(a) | lib.atleast_1d(scalar, v) | lib.atleast_1d([v]) | lib.atleast_2d(scalar)
lib.atleast_2d(v) | lib.atleast_2d((v, a)) | lib.atleast_3d(scalar) | lib.atleast_3d(v) | lib.atleast_3d(a)
lib.atleast_3d(deep) | lib.atleast_3d([scalar, v, a]) | lib.permute(input=deep, dims=(-1, 0, 1))
lib.permute(a, [1, 0]) | lib.permute(scalar, ()) | lib.transpose(input=deep, dim0=0, dim1=2)
lib.transpose(scalar, 0, -1) | lib.t(a) | lib.swapaxes(input=deep, axis0=0, axis1=-1)
lib.swapdims(input=deep, dim0=0, dim1=-1) | lib.movedim(deep, 0, 2)
lib.movedim(input=deep, source=(0, 1), destination=(-1, 0)) | lib.moveaxis(deep, -1, 0) | lib.moveaxis(deep, [2], [1])
lib.movedim(scalar, 0, 0) | lib.adjoint(deep) | lib.adjoint(input=a) | lib.adjoint(scalar)
lib.broadcast_to(v, (2, 3, 4)) | lib.broadcast_to(input=one, size=(3, 5, -1)) | lib.broadcast_to(scalar, (2, 2))
lib.clone(input=m) | lib.cat([a, whole]) | lib.cat(tensors=[a, b], dim=-2) | lib.cat([m, m]) | lib.cat([whole, m])
lib.cat([empty, a]) | lib.cat([a, empty], 1) | lib.cat([empty, empty], 1) | lib.cat([empty, v]) | lib.cat([v])
lib.cat([empty, a.float()]) | lib.concat([a, b], 1) | lib.concatenate((a, b), dim=1) | lib.stack([a, whole])
lib.stack(tensors=(v, v), dim=1) | lib.stack([scalar, scalar]) | lib.stack([m, m], -1) | lib.hstack([v, v])
lib.hstack([a, one[:, 0]]) | lib.hstack((scalar, v)) | lib.hstack([v, whole[0]]) | lib.vstack([v, a])
lib.vstack((scalar, scalar)) | lib.vstack([deep, deep]) | lib.row_stack([v, v]) | lib.dstack([a, b])
lib.dstack([v, v]) | lib.dstack([scalar, scalar]) | lib.column_stack([v, v]) | lib.column_stack([v, square])
lib.column_stack([scalar, scalar]) | lib.hstack(tensors=[a, b]) | lib.vstack(tensors=[a]) | lib.dstack(tensors=[a])
lib.split(tensor=a, split_size_or_sections=2, dim=1) | lib.split(a, (1, 0, 2)) | lib.split(a, 9)
lib.split(whole, 2, -1) | lib.chunk(input=a, chunks=3, dim=-1) | lib.chunk(u, 4) | lib.chunk(v, 9)
lib.tensor_split(a, 2) | lib.tensor_split(u, 3) | lib.tensor_split(u, 7) | lib.tensor_split(a, (1, 3), dim=1)
lib.tensor_split(u, [2, 9]) | lib.tensor_split(u, [3, 1]) | lib.tensor_split(u, [-2]) | lib.tensor_split(u, [])
lib.tensor_split(u, counts) | lib.tensor_split(u, counts[0]) | lib.tensor_split(whole, 2, -1) | lib.hsplit(v, 2)
lib.hsplit(a, [1, 2]) | lib.hsplit(deep, 3) | lib.vsplit(a, 3) | lib.vsplit(square, (1, 3)) | lib.dsplit(deep, 2)
lib.dsplit(deep, [3]) | lib.unbind(input=deep, dim=-1) | lib.unbind(v) | lib.unbind(whole) | lib.select(a, 0, -1)
lib.select(input=deep, dim=2, index=1) | lib.select(v, 0, 3) | lib.narrow(a, 1, 1, 2)
lib.narrow(input=a, dim=0, start=-2, length=1) | lib.narrow(a, 0, 3, 0) | lib.narrow(u, 0, counts[2], 2)
lib.select_scatter(a, v, 0, 1) | lib.select_scatter(input=a, src=whole[:, 0], dim=1, index=-1)
lib.slice_scatter(a, b[:2], 0, 1) | lib.slice_scatter(input=a, src=b[:, :2], dim=1, start=0, end=99, step=2)
lib.slice_scatter(a, b) | lib.slice_scatter(a, b[:2], 0, -2) | lib.broadcast_shapes((2, 1), 3, (1,))
lib.broadcast_shapes() | lib.broadcast_tensors(a, v, one) | lib.broadcast_tensors(scalar, v)
lib.broadcast_tensors(a) | lib.meshgrid(v, u) | lib.meshgrid([v, u, scalar]) | lib.meshgrid(v, u, indexing="ij")
lib.meshgrid(v, indexing="xy") | lib.meshgrid(v, u, indexing="xy") | lib.meshgrid(v, u, c, indexing="xy")
lib.meshgrid(counts, counts) | lib.tile(a, (2,)) | lib.tile(input=a, dims=(2, 1, 3)) | lib.tile(a, ())
lib.tile(scalar, (3,)) | lib.tile(m, (0, 2)) | lib.repeat_interleave(a, 2) | lib.repeat_interleave(a, 2, 1)
lib.repeat_interleave(input=a, repeats=counts, dim=0) | lib.repeat_interleave(counts)
lib.repeat_interleave(a, counts[0], -1) | lib.repeat_interleave(a, counts[:1], 1) | lib.repeat_interleave(scalar, 3)
lib.repeat_interleave(whole, 0) | lib.repeat_interleave(a, counts, 0, output_size=3) | lib.flip(a, (0,))
lib.flip(input=deep, dims=[0, -1]) | lib.flip(a, ()) | lib.flip(m, (1,)) | lib.fliplr(a) | lib.flipud(v)
lib.fliplr(input=deep) | lib.flipud(input=whole) | lib.rot90(a) | lib.rot90(a, 2) | lib.rot90(a, -1, [1, 0])
lib.rot90(input=deep, k=5, dims=[0, 2]) | lib.rot90(a, 0) | lib.roll(a, 1) | lib.roll(a, (1, -2), (0, 1))
lib.roll(input=a, shifts=-1, dims=1) | lib.roll(a, (1, 1), (0, 0)) | lib.roll(scalar, 1) | lib.roll(whole, 13, -1)
lib.diagonal(a) | lib.diagonal(input=deep, offset=1, dim1=0, dim2=-1) | lib.diagonal(a, -9) | lib.diagonal(a, 9)
lib.diagonal(deep, 0, 2, 1) | lib.diag(v) | lib.diag(input=v, diagonal=-2) | lib.diag(a) | lib.diag(a, 1)
lib.diag(whole, -1) | lib.diag_embed(a) | lib.diag_embed(input=a, offset=-1, dim1=0, dim2=2)
lib.diag_embed(a, 1, -1, 0) | lib.diag_embed(m) | lib.diagflat(a) | lib.diagflat(input=v, offset=2)
lib.diagflat(scalar) | lib.diagonal_scatter(a, v[:3]) | lib.diagonal_scatter(a, whole[0, 1:])
lib.diagonal_scatter(deep, square[:2, :3], 0, 1, 2) | lib.diagonal_scatter(input=a, src=u[:2], offset=2)
lib.trace(a) | lib.trace(input=whole) | lib.tril(a) | lib.tril(input=deep, diagonal=1) | lib.tril(m, -1)
lib.triu(whole) | lib.triu(a, -9) | lib.triu(input=deep, diagonal=-1) | lib.tril(holes) | lib.triu(holes)
lib.zeros(size=(2, 3)) | lib.ones(2, 3, dtype=lib.int64) | lib.full(size=(2, 2), fill_value=7) | lib.full((2,), True)
lib.full((), 1.5) | lib.full_like(input=i, fill_value=2.7) | lib.zeros_like(input=a, dtype=lib.float32)
lib.ones_like(m) | lib.empty_like(whole).fill_(3) | lib.empty_like(input=a).zero_() | lib.fill(a, 2)
lib.fill(input=a, value=scalar) | lib.fill(whole, 2.7) | lib.fill(m, 2) | lib.fill(a, whole[0, 1]) | lib.arange(5)
lib.arange(end=3) | lib.arange(start=1, end=2, step=0.25) | lib.arange(1.0, 4) | lib.arange(5, 1, -2)
lib.arange(0.5, 3, dtype=lib.int64) | lib.arange(3, dtype=lib.float64) | lib.arange(1000, 1001, 0.001)
lib.arange(2, 2) | lib.arange(True, 4) | lib.linspace(start=2, end=-3, steps=7)
lib.linspace(0, 10, 4, dtype=lib.float64) | lib.linspace(-1, 1, 4, dtype=lib.int64) | lib.logspace(0, 2, 5)
lib.logspace(start=-1, end=1, steps=3, base=2) | lib.logspace(1, 2, 1, dtype=lib.float64)
lib.eye(n=2, m=3, dtype=lib.int64) | lib.tril_indices(3, 4) | lib.is_tensor(a)
lib.tril_indices(row=4, col=3, offset=-1) | lib.triu_indices(3, 3, 1, dtype=lib.int32)
lib.triu_indices(2, 4, offset=-9) | lib.is_tensor(3) | lib.numel(input=a) | lib.numel(scalar)
"""

METHODS = """
deep.ravel() | a.unflatten(1, (2, 2)) | deep.swapdims(0, 1) | deep.movedim(0, -1) | deep.moveaxis((0, 1), (1, 0))
deep.adjoint() | v.broadcast_to((3, 4)) | a.tensor_split(2, dim=1) | a.hsplit(2) | a.vsplit(3) | deep.dsplit(2)
a.select(1, 0) | a.narrow(dim=1, start=0, length=2) | a.select_scatter(v, 0, 1) | a.slice_scatter(b[1:], 0, 1)
v.unfold(0, 2, 1) | a.unfold(dimension=1, size=2, step=2) | deep.unfold(-2, 3, 1) | scalar.unfold(0, 1, 1)
scalar.unfold(0, 0, 1) | v.unfold(0, 0, 1) | u.unfold(0, 3, 9) | whole.unfold(0, 2, 1) | u.unfold(0, 2, 3)
a.repeat(2, 1) | a.repeat((1, 1, 2)) | a.repeat(repeats=(0, 2)) | scalar.repeat(3) | m.repeat(2, 2) | a.tile(2, 2)
a.tile((2,)) | a.tile(2) | a.repeat_interleave(2, dim=1) | a.flip(0, 1) | a.flip((1,)) | a.flip(dims=(0,))
a.fliplr() | a.flipud() | a.roll(1, 0) | a.roll(shifts=(1, 2), dims=(0, 1)) | a.rot90(1, (0, 1)) | a.diagonal(1)
v.diag() | a.diag(1) | a.diag_embed() | a.diagflat() | a.diagonal_scatter(v[:3]) | a.trace() | a.tril() | a.triu(1)
a.numel() | a.split(split_size=2, dim=1) | a.split([1, 2]) | a.chunk(chunks=2, dim=1) | a.permute(dims=(1, 0))
a.permute((1, 0)) | a.permute(-1, 0) | a.expand(size=(2, 3, 4)) | a.expand((-1, 4)) | a.expand([3, -1])
deep.flatten(start_dim=1) | one.squeeze(dim=(0, 1)) | deep.mT | scalar.mT | v.T | scalar.T
deep.transpose(dim0=0, dim1=1) | a.view((2, 6)) | a.T.contiguous() | a.T.contiguous() is a | a.contiguous() is a
a.T.is_contiguous() | deep.view_as(other=deep) | v.expand_as(other=a) | a.reshape_as(other=square[:3])
a.new_tensor([1, 2]) | whole.new_tensor([[1.7]]) | a.new_zeros(2, 3) | a.new_zeros((2,)) | whole.new_ones(size=(2, 2))
m.new_zeros(2, dtype=lib.float32) | a.new_full((2, 2), 3) | whole.new_full(size=(2,), fill_value=2.7)
a.new_empty(2, 3).fill_(1) | a.new_empty((2, 3)).shape | (a * 2).fill_(1.5) | (a * 2).fill_(scalar) | (a * 2).zero_()
(a * 2).fill_(value=3) | whole.fill_(2.7) | whole.zero_() | (a * 2).tril_() | (a * 2).triu_(1)
(a * a).transpose_(0, 1) | (a * a).t_() | (one * 2).squeeze_() | (a * 2).unsqueeze_(1)
(one * one).squeeze_(1).mul_(2) | (deep * 2).swapaxes_(0, 1) | (deep * 2).swapdims_(0, 1) | a[0, 0].item() | [*v]
(a * 2).fill_(1).requires_grad | a.unbind(1)[2] * a.unbind(1)[0] | (a * 2).diagonal().clone().zero_()
"""

EDGES = """
holes.flip(0, 1) | lib.diagonal(holes) | lib.diag_embed(holes[0]) | lib.trace(holes) | holes.repeat(2, 1)
lib.roll(holes, 1, 0) | lib.cat([holes, holes]) | lib.fill(holes, 1.0) * 2 | lib.fill(holes, float("nan"))
lib.diagonal_scatter(holes, holes[0]) | lib.select_scatter(holes, holes[0], 1, 1) | holes.unfold(0, 2, 1)
lib.arange(-1, 1, 0.3) | lib.linspace(1, 1, 3) | lib.full((2,), float("nan"))
"""

EMPTY = """
lib.cat([none, none]) | lib.cat([cols, cols], 1) | lib.hstack([nothing, nothing]) | lib.vstack([none, none])
lib.column_stack([nothing, nothing]) | lib.dstack([none, none]) | lib.stack([nothing]) | lib.split(none, 0)
lib.split(cols, [0, 0], 1) | lib.chunk(cols, 3, 1) | lib.tensor_split(none, 3) | lib.tensor_split(none, [1, 2])
lib.hsplit(cols, 2) | lib.vsplit(none, 1) | lib.unbind(cols, 1) | lib.unbind(cols) | lib.narrow(none, 0, 0, 0)
lib.select(none, 1, 0) | lib.slice_scatter(none, none) | lib.ravel(none) | lib.unflatten(none, 0, (-1, 2))
lib.unflatten(none, 0, (0, 2)) | lib.atleast_3d(nothing) | lib.movedim(none, 0, 1) | lib.broadcast_to(none, (2, 0, 3))
lib.broadcast_tensors(none, none[:, :1]) | lib.meshgrid(nothing, v) | lib.tile(none, (2, 2)) | none.repeat(2, 2)
lib.repeat_interleave(none, 2, 0) | lib.repeat_interleave(none, 2, 1) | lib.repeat_interleave(nothing.long())
lib.flip(none, (0, 1)) | lib.roll(none, 1) | lib.roll(none, 1, 1) | lib.rot90(none) | lib.diagonal(none)
lib.diag(nothing) | lib.diag(none) | lib.diag_embed(cols) | lib.diagflat(none) | lib.trace(none) | lib.tril(none)
lib.triu(cols, 1) | nothing.unfold(0, 0, 1) | none.unfold(1, 2, 1) | lib.diagonal_scatter(none, nothing)
lib.fill(none, 1) | lib.zeros((0,)) | lib.full((0, 2), 1) | lib.tril_indices(0, 3) | lib.triu_indices(3, 0)
lib.logspace(0, 1, 0) | lib.zeros_like(none) | none.new_zeros(0) | lib.numel(none) | (none * 2).fill_(2)
lib.arange(0, 0, 2) | lib.squeeze(one[:0]) | none.contiguous() | lib.eye(0, 2)
"""
