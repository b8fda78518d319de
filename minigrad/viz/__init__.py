"""viz: the computational graph, drawn."""

from .diff import diff as diff
from .drawing import Drawing as Drawing
from .drawing import graph as graph
from .record import record as record
from .render import FormatError as FormatError
from .render import RenderError as RenderError
from .steps import backward_steps as backward_steps
from .model import STATISTICS as STATISTICS
from .summary import summary as summary
from .torchviz import make_dot as make_dot
