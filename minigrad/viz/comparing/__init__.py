"""Comparing: the difference of two graphs, as a graph and as a text."""
