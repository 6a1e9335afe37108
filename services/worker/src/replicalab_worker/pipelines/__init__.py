"""One handler per kind of task: read inputs, run science, write artifacts, report progress."""
