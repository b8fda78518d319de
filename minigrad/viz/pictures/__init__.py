"""Pictures: a graph as DOT, by the renderers as SVG, PNG and PDF, as an HTML page, and as text.

dot.py writes DOT, render.py runs programs, html.py makes the page; style.py has all colours, words.py all labels.
"""
