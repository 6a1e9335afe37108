"""The state of the object store, over REST."""
