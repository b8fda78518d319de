"""`mg.cuda`: is there a GPU to compute on?"""

from .backend import cuda_is_available as is_available

__all__ = ["is_available"]
