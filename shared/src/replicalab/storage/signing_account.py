"""The account that signs presigned URLs: it may read artifacts and store parts, and no more.

    python -m replicalab.storage.signing_account            # makes it, at MinIO and its like
    python -m replicalab.storage.signing_account --policy   # what other servers must be told

A presigned URL can do what its signer may do. With a key of its own, no URL that a gateway could
be brought to sign deletes an object or writes an artifact.
"""

import argparse
import json
import sys
from typing import Any
from urllib.parse import urlsplit

from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from replicalab.errors import ReplicaLabError, StoreUnavailable
from replicalab.settings import S3StoreSettings, ServiceSettings, StoreKey

_NAME = "replicalab-signer"


class SigningSettings(BaseSettings):
    """What the command reads: the store as services see it, and the key of the signer."""

    model_config = ServiceSettings.model_config

    store: S3StoreSettings = Field(description="With the signer's key.")


def policy_of(bucket: str) -> dict[str, Any]:
    """The signer's rights, in the policy language of S3."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [action],
                "Resource": [f"arn:aws:s3:::{bucket}/{folder}/*"],
            }
            for action, folder in (("s3:GetObject", "cas"), ("s3:PutObject", "upload"))
        ],
    }


def make_account(settings: S3StoreSettings, signer: StoreKey) -> None:
    """Make the account, or bring the one that is there to this secret and these rights.

    Raises:
        StoreUnavailable: The server does not answer, or has no accounts of this kind.
    """
    admin = _admin(settings)
    account: dict[str, Any] = {
        "access_key": signer.access_key,
        "secret_key": signer.secret_key.get_secret_value(),
        "name": _NAME,
        "policy": policy_of(settings.bucket),
    }
    try:
        if _is_there(admin, signer.access_key):
            admin.update_service_account(**account)
        else:
            admin.add_service_account(**account)
    except (MinioAdminException, HTTPError, ValueError) as error:
        raise StoreUnavailable(
            f"{settings.endpoint} made no account. Where a server is not of MinIO's kind, its "
            f"administrator makes a key with the rights that --policy prints. {error}"
        ) from error


def _is_there(admin: MinioAdmin, access_key: str) -> bool:
    try:
        admin.get_service_account(access_key)
    except MinioAdminException:
        return False
    return True


def _admin(settings: S3StoreSettings) -> MinioAdmin:
    url = urlsplit(settings.endpoint)
    return MinioAdmin(
        endpoint=url.netloc,
        credentials=StaticProvider(settings.access_key, settings.secret_key.get_secret_value()),
        region=settings.region,
        secure=url.scheme == "https",
        http_client=PoolManager(timeout=Timeout(settings.timeout_seconds), retries=Retry(2)),
    )


def main() -> None:
    """Make the account that ``REPLICALAB_STORE__SIGNER__*`` names, or say why not."""
    parser = argparse.ArgumentParser(description="The account that signs presigned URLs.")
    parser.add_argument("--policy", action="store_true", help="only print its rights")
    arguments = parser.parse_args()
    try:
        settings = SigningSettings().store
        if arguments.policy:
            sys.stdout.write(json.dumps(policy_of(settings.bucket), indent=2) + "\n")
        elif settings.signer is None:
            sys.exit("REPLICALAB_STORE__SIGNER__ACCESS_KEY and ..__SECRET_KEY must name it.")
        else:
            make_account(settings, settings.signer)
            sys.stdout.write(f"{settings.signer.access_key} signs URLs from now on.\n")
    except ValidationError as error:
        sys.exit(f"REPLICALAB_STORE__*: {error}")
    except ReplicaLabError as error:
        sys.exit(f"{error.title}: {error.detail}")


if __name__ == "__main__":
    main()
