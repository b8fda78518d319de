"""Recording: what happens while operations run, noted on the nodes of the tape.

record.py is viz.record; notes.py what stays on the nodes; looks.py what is found in an array.
"""
