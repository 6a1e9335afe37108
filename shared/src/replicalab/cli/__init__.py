"""The command line: everything the SDK does, for people."""
