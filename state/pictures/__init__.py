"""What a preview is, how often one is made, and where its files lie. Values and files; any thread."""
