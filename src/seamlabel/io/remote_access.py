"""How servers are asked: obstore's client for an address, who asks, and with how much patience.

All of it comes from the environment, nothing is kept. obstore is loaded when it is first needed.
"""

from __future__ import annotations

import netrc
import os
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from seamlabel.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTALL = "pip install 'seamlabel[remote]'"
SECONDS, RETRIES = "SEAMLABEL_REMOTE_SECONDS", "SEAMLABEL_REMOTE_RETRIES"
_AWS = (
    *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE"),
)
_GOOGLE = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"),
    *("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_SKIP_SIGNATURE"),
)
_AZURE = (
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    *("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_TOKEN", "AZURE_STORAGE_CLIENT_ID", "AZURE_CLIENT_ID"),
    *("AZURE_FEDERATED_TOKEN_FILE", "AZURE_SKIP_SIGNATURE"),
)
_WHOLE = 20
"""A request may take so many times longer than its server may be silent: chunks may be large."""


@dataclass(frozen=True)
class Patience:
    """How long servers are waited for.

    Parameters
    ----------
    seconds : float
        That a server may be silent.
    retries : int
        How often a request that failed is made again, after half a second, one, two and so on.
    """

    seconds: float = 30.0
    retries: int = 4

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Patience:
        """Return what the environment says.

        Raises
        ------
        ImageError
            If that is no number.
        """
        return cls(
            _number(environment, SECONDS, cls.seconds, 0.1),
            int(_number(environment, RETRIES, cls.retries, 0)),
        )

    def options(self) -> dict[str, Any]:
        """Return it as obstore's settings."""
        silent = timedelta(seconds=self.seconds)
        backoff = {"init_backoff": timedelta(seconds=0.5), "max_backoff": timedelta(seconds=8), "base": 2}
        return {
            "client_options": {
                "connect_timeout": min(silent, timedelta(seconds=10)),
                "read_timeout": silent,
                "timeout": _WHOLE * silent,
            },
            "retry_config": {
                "max_retries": self.retries,
                "backoff": backoff,
                "retry_timeout": _WHOLE * silent,
            },
        }


def _number(environment: Mapping[str, str], name: str, usual: float, least: float) -> float:
    text = environment.get(name) or str(usual)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not least <= found <= 86_400:
        raise ImageError(f"{name} is {text!r:.50}", f"Set it to a number, {usual:g} is usual")
    return found


def client_of(address: str, patience: Patience) -> Any:
    """Return obstore's store for an address that `clean_address` gave.

    Buckets are asked as anybody where the environment has no keys: most public ones refuse keys of others.

    Raises
    ------
    ImageError
        If obstore is not installed, or the address or the environment does not fit.
    """
    try:
        from obstore import exceptions, store
    except ImportError:
        raise ImageError(f"{address}: to read it, obstore is needed", f"Install: {INSTALL}") from None
    parts = urlsplit(address)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    settings = patience.options()
    client = settings["client_options"]
    inside = {"prefix": prefix} if prefix else {}
    try:
        if parts.scheme in ("http", "https"):
            client |= {"allow_http": parts.scheme == "http", **_own_name(parts.hostname or "")}
            return store.HTTPStore(address, **settings)
        if parts.scheme == "s3":
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            own = {"endpoint": endpoint} if endpoint else {}
            client["allow_http"] = (endpoint or "").startswith("http://")
            return store.S3Store(bucket, **inside, **own, **_anybody(_AWS), **settings)
        if parts.scheme == "gs":
            return store.GCSStore(bucket, **inside, **_anybody(_GOOGLE, _google_file()), **settings)
        client["allow_http"] = os.environ.get("AZURE_STORAGE_USE_EMULATOR") == "true"
        return store.AzureStore(bucket, **inside, **_anybody(_AZURE), **settings)
    except (exceptions.BaseError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise ImageError(f"{address} cannot be asked for: {what}", _ENVIRONMENT[parts.scheme]) from None


def _anybody(names: tuple[str, ...], *files: Path) -> dict[str, Any]:
    """Return the setting that nobody in particular asks, where no key is found."""
    known = any(os.environ.get(name) for name in names) or any(file.is_file() for file in files)
    return {} if known else {"skip_signature": True}


def _google_file() -> Path:
    """Return where ``gcloud auth application-default login`` keeps its key."""
    base = Path(os.environ.get("APPDATA", "")) if os.name == "nt" else Path.home() / ".config"
    return base / "gcloud" / "application_default_credentials.json"


def _own_name(host: str) -> dict[str, Any]:
    """Return the header that tells this host who asks, if ``~/.netrc`` (or `NETRC`) knows it."""
    file = os.environ.get("NETRC") or str(Path.home() / ".netrc")
    try:
        found = netrc.netrc(file).hosts.get(host)
    except (OSError, netrc.NetrcParseError):
        return {}
    if found is None or not found[2]:
        return {}
    secret = b64encode(f"{found[0]}:{found[2]}".encode()).decode()
    return {"default_headers": {"Authorization": f"Basic {secret}"}}


_ENVIRONMENT = {
    "http": "Check the address",
    "https": "Check the address",
    "s3": "Check the address, and AWS_ENDPOINT_URL, AWS_REGION and AWS_ACCESS_KEY_ID in the environment",
    "gs": "Check the address, and GOOGLE_APPLICATION_CREDENTIALS in the environment",
    "az": "Give az://CONTAINER/IMAGE.zarr, and set AZURE_STORAGE_ACCOUNT_NAME in the environment",
}
ALLOW = {
    "http": "Put name and password for this host into ~/.netrc",
    "https": "Put name and password for this host into ~/.netrc",
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (files in ~/.aws are not read); for a public "
    "bucket leave them out, or set AWS_SKIP_SIGNATURE=true",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS; for a public bucket GOOGLE_SKIP_SIGNATURE=true",
    "az": "Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN; for a public container none",
}
"""What to do where a server refuses, by the scheme of the address."""
