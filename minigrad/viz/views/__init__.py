"""Views: the part of a graph that is drawn. A Graph goes in, another comes out. collapse.py is where it begins."""
