"""Diffusion models in the notation of Karras et al. (2022), arXiv:2206.00364 ("EDM")."""
