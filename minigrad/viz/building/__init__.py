"""Building: the graph model, made from the tape and from what was noted of it. build.py is where it begins."""
