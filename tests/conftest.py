"""Fixtures every test may use; servers start when the first test asks for them."""

pytest_plugins = [
    "tests.fixtures.folders",
    "tests.fixtures.postgres",
    "tests.fixtures.valkey",
    "tests.fixtures.s3",
]
