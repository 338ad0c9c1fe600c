"""One job: its state machine, as the worker thread drives it and as people and scripts ask for it.

Any thread, under the job's own lock. Standard library only.
"""
