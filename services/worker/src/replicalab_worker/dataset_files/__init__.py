"""Data sets in files that people upload: read in bounded memory, refused by name where hostile."""
