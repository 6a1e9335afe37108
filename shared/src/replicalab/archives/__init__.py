"""Archives from strangers: what is believed of them, and how much of them is read."""
