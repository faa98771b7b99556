"""A whole film's way to its colours: cuts, references, colouring, resuming, and the looks at it before and
after."""
