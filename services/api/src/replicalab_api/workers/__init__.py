"""The register of workers, over REST."""
