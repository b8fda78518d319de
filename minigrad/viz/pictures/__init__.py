"""Pictures: a graph as DOT, by the renderers as SVG, PNG and PDF, as an HTML page, and as text.

dot.py writes DOT, render.py runs programs; html.py the page that is clicked through.
"""
