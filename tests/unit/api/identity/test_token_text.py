"""What tokens look like, so that leaked ones can be found and mistyped ones refused."""

import re

import pytest

from replicalab_api.identity.token_text import Pepper, TokenText, checksum


def test_a_token_is_prefix_id_secret_and_checksum() -> None:
    text = TokenText.new().write()
    assert re.fullmatch(r"rlp_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}", text)


def test_the_checksum_is_the_crc_in_base_62() -> None:
    # CRC-32 of "123456789" is 0xCBF43926 in every description of it.
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in checksum("123456789"):
        number = number * 62 + digits.index(digit)
    assert number == 0xCBF43926
    assert len(checksum("")) == 6


def test_a_token_is_read_back() -> None:
    token = TokenText.new()
    assert TokenText.parse(token.write()) == token


def test_every_single_mistake_is_noticed() -> None:
    text = TokenText("8Kd02mQx", "0123456789abcdefghijABCDEFGHIJxy").write()
    for position, old in enumerate(text):
        for new in {"a", "0", "_"} - {old}:
            assert TokenText.parse(text[:position] + new + text[position + 1 :]) is None


@pytest.mark.parametrize("text", ["", "rlp_", "ghp_" + "a" * 36, "rlp_é", "rlp_" + "a" * 100_000])
def test_what_is_no_token_is_none(text: str) -> None:
    assert TokenText.parse(text) is None


def test_tokens_do_not_repeat_and_hide_their_secrets() -> None:
    tokens = [TokenText.new() for _ in range(200)]
    assert len({token.secret for token in tokens}) == len({t.public_id for t in tokens}) == 200
    assert tokens[0].secret not in repr(tokens[0])


def test_a_rotated_token_keeps_its_id() -> None:
    token = TokenText.new()
    again = TokenText.new(token.public_id)
    assert again.public_id == token.public_id
    assert again.secret != token.secret


def test_digests_depend_on_pepper_purpose_and_secret() -> None:
    pepper, other = Pepper("a" * 32), Pepper("b" * 32)
    digests = {
        pepper.digest("token", "s"),
        pepper.digest("session", "s"),
        pepper.digest("token", "t"),
        other.digest("token", "s"),
    }
    assert len(digests) == 4
    assert pepper.digest("token", "s") == Pepper("a" * 32).digest("token", "s")
    assert pepper.digest("a", "b\0c") == pepper.digest("a", "b\0c")
