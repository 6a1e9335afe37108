"""Two image sets measured on this machine, without the service."""
