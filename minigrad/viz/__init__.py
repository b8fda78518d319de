"""viz: the computational graph, drawn."""

from .drawing import Drawing as Drawing
from .drawing import graph as graph
from .record import record as record
from .render import RenderError as RenderError
