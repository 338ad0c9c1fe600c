"""What a model's patches remember from one evaluation to the next: found, kept and given back."""
