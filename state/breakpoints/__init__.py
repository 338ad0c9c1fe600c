"""On what a job pauses by itself. Pure values and functions; any thread."""
