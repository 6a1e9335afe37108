"""Where requests of ours may go: never where an outsider's URL should not reach."""

from ipaddress import ip_address, ip_network

import httpx
import pytest

from replicalab.refusals import UnsafeWebhookUrl
from replicalab_api.webhooks.addresses import AddressPolicy

PUBLIC = AddressPolicy()
LAB = AddressPolicy((ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")), may_use_http=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert PUBLIC.is_allowed(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - refused
        "10.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
    ],
)
def test_inner_addresses_are_refused_in_whatever_dress(address: str) -> None:
    assert not PUBLIC.is_allowed(ip_address(address))


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00:1::7", True),
        ("10.2.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("8.8.8.8", True),
    ],
)
def test_a_lab_names_inner_networks_and_no_others(address: str, is_allowed: bool) -> None:
    assert LAB.is_allowed(ip_address(address)) is is_allowed


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://",
        "https:///path",
        "//example.org/",
        "example.org",
        "https://user:secret@example.org/",
        "https://example.org/#part",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://exa mple.org/",
        "https://[::1/",
        "javascript:alert(1)",
        "",
    ],
)
def test_urls_of_another_form_are_refused(url: str) -> None:
    with pytest.raises(UnsafeWebhookUrl):
        PUBLIC.check_url(url)


def test_without_encryption_only_where_a_lab_allows_it() -> None:
    assert LAB.check_url("http://10.1.2.3:8080/hook").port == 8080
    assert PUBLIC.check_url("https://example.org/hook?a=1").host == "example.org"


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "0"],
)
def test_names_and_numbers_of_this_machine_are_refused(host: str) -> None:
    with pytest.raises(UnsafeWebhookUrl):
        PUBLIC.resolve(PUBLIC.check_url(f"https://{host}/"))


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(UnsafeWebhookUrl, match="has no address"):
        PUBLIC.resolve(httpx.URL("https://nothing.invalid/"))


@pytest.mark.parametrize("found", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], []])
def test_one_inner_address_among_others_is_enough_to_refuse(found: list[str]) -> None:
    policy = AddressPolicy(look_up=lambda _host, _port: found)
    with pytest.raises(UnsafeWebhookUrl):
        policy.resolve(httpx.URL("https://example.org/"))


def test_what_was_looked_at_is_what_is_connected_to() -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    policy = AddressPolicy(look_up=lambda _host, _port: next(answers))
    assert policy.resolve(httpx.URL("https://example.org/")) == [ip_address("8.8.8.8")]
