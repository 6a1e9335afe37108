"""The SDK: everything a researcher's laptop needs to work with a ReplicaLab service."""
