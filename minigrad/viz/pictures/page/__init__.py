"""What the interactive page is made of: its HTML, style and script, and dagre (MIT), which lays graphs out.

dagre.min.js is dist/dagre.min.js of @dagrejs/dagre 3.1.3, unchanged.
"""
