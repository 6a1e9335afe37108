"""Which passwords are taken, and how they are kept."""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from replicalab.refusals import WeakPassword
from replicalab_api.identity.passwords import Passwords, check_strength

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.mark.parametrize(
    "password", ["short", "a" * 40, "abcabcabcabcabc", "my name is Ann, hello", "x" * 129]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        check_strength(password, "ann")


@pytest.mark.parametrize("password", ["correct horse battery", "пароль из слов", "0123456789ab"])
def test_long_and_varied_ones_are_taken(password: str) -> None:
    check_strength(password, "ann")


def test_hashes_are_argon2id_with_salts_of_their_own() -> None:
    passwords = Passwords()
    first, second = passwords.hash("secret"), passwords.hash("secret")
    assert first != second
    parameters = extract_parameters(first)
    assert parameters.type is Type.ID
    # RFC 9106, second recommended option: 64 MiB, three passes.
    assert (parameters.memory_cost, parameters.time_cost) == (65536, 3)


def test_only_the_right_password_is_right() -> None:
    passwords = Passwords(QUICK)
    encoded = passwords.hash("secret")
    assert passwords.is_right("secret", encoded)
    assert not passwords.is_right("Secret", encoded)


def test_nobody_has_no_password_not_even_the_one_that_stands_in() -> None:
    assert not Passwords(QUICK).is_right("the password of nobody at all", None)
