"""The machine a worker runs on: device, threads, memory."""
