"""Files in parts, over REST."""
