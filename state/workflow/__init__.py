"""Reading and changing a prompt graph: edits, their verdicts, Midrun's own nodes in it.

Pure functions over plain data, which may come from anybody; any thread.
"""
