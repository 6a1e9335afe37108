"""What the compose file and the images promise, whichever engine reads them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
OURS = {"migrate", "gateway", "scheduler", "worker", "metrics"}
SECRETS = {
    "POSTGRES_PASSWORD",
    "GATEWAY_DB_PASSWORD",
    "SCHEDULER_DB_PASSWORD",
    "RUNNER_DB_PASSWORD",
    "VALKEY_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "REPLICALAB_TOKEN",
    "REPLICALAB_PEPPER",
}


def dockerfile(service: str) -> str:
    """The recipe of a service's image."""
    return (ROOT / "services" / service / "Dockerfile").read_text()


def test_no_secret_has_a_default() -> None:
    uses = re.findall(r"\$\{(\w+)([^}]*)\}", TEXT)
    assert {name for name, _ in uses} >= SECRETS
    assert all(rest.startswith(":?") for name, rest in uses if name in SECRETS)
    assert not re.search(r"(PASSWORD|TOKEN|KEY): +[^$]", TEXT)


def test_the_script_makes_every_secret() -> None:
    made = re.findall(r'echo "(\w+)=', (ROOT / "deploy" / "create-env").read_text())
    assert set(made) >= SECRETS


def test_the_gateway_alone_is_reachable_from_outside() -> None:
    assert [name for name, part in COMPOSE["services"].items() if "ports" in part] == ["gateway"]
    assert COMPOSE["networks"]["backend"]["internal"] is True
    for name, part in COMPOSE["services"].items():
        assert ("frontend" in part["networks"]) == (name == "gateway")


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_cannot_change_themselves(name: str) -> None:
    part = COMPOSE["services"][name]
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", ["api", "metrics", "worker"])
def test_images_install_only_what_is_pinned_and_run_as_a_user(service: str) -> None:
    text = dockerfile(service)
    assert f"--require-hashes -r requirements/{service}.txt" in text
    assert "--require-hashes -r requirements/bootstrap.txt" in text
    assert text.count("pip install") == text.count("--require-hashes") + text.count("--no-deps whe")
    assert "\nUSER 10001:10001\n" in text


@pytest.mark.parametrize("service", ["api", "metrics"])
def test_images_without_networks_refuse_to_hold_torch(service: str) -> None:
    assert "u.find_spec('torch')" in dockerfile(service)
    requirements = (ROOT / "requirements" / f"{service}.txt").read_text()
    assert not re.search(r"^(torch|torchvision|nvidia-\S+)==", requirements, re.MULTILINE)
