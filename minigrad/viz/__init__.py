"""viz: the computational graph, drawn, so that people look at it.

    viz.graph(lambda: F.cross_entropy(model(x), y), model).save("net.svg")

The way of a graph through the folders: recording/ notes on the tape what happens, building/ makes the model of it
(model.py), views/ chooses what is drawn, pictures/ draws it; drawing.py joins them. style.py has all colours, words.py
all labels. comparing/, summaries/ and stepping/ are viz.diff, viz.summary and viz.backward_steps.
"""

from .comparing.diff import diff as diff
from .drawing import Drawing as Drawing
from .drawing import graph as graph
from .model import STATISTICS as STATISTICS
from .pictures.render import FormatError as FormatError
from .pictures.render import RenderError as RenderError
from .recording.record import record as record
from .stepping.steps import backward_steps as backward_steps
from .summaries.summary import summary as summary
from .torchviz import make_dot as make_dot
