"""Colouring a whole film: cuts, references, colouring, resuming, and inspection before and after."""
