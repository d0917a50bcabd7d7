"""Why a server gave nothing, in words: from what obstore raises, which names it deep in its text.

Pure.
"""

from __future__ import annotations

import re

from seamlabel.io.ngff.strict import plain, without_secrets
from seamlabel.io.remote_access import ALLOW, SECONDS

_STATUS = re.compile(r"status(?: code)?: (\d{3})")
_GOES_ON = "a run that this ended goes on when it is started again"
_KNOWN = (
    ("dns error", "the host is not known (DNS)", "Check the address, and that this machine is online"),
    ("ConnectionRefused", "the connection was refused", "Check the address, and that the server runs"),
    ("TimedOut", "no answer in time", f"Check the network, or wait longer: set {SECONDS}"),
    ("kind: Timeout", "no answer in time", f"Check the network, or wait longer: set {SECONDS}"),
    ("ertificate", "its certificate is not trusted (TLS)", "Check the address"),
    ("InvalidContentType", "it does not speak TLS", "Give http:// in place of https://"),
    ("IncompleteBody", "the connection broke off", "Check the network"),
    ("MissingContentLength", "the server does not tell lengths", "Serve the image with another server"),
    ("error sending request", "the connection broke off", "Check the network"),
    ("without LOCATION", "the bucket is in another region", "Set AWS_REGION to the region of the bucket"),
)


def cause_of(error: Exception, scheme: str) -> tuple[str, str]:
    """Return why a request failed, and what to do about it."""
    text = str(error)
    status = _STATUS.search(text)
    for sign, cause, hint in _KNOWN:
        if sign in text:
            return cause, f"{hint}; {_GOES_ON}"
    if status is None:
        first = plain(without_secrets(text.partition("\n")[0]), 200)
        return first or type(error).__name__, f"Check the network; {_GOES_ON}"
    code = int(status[1])
    if code in (401, 403):
        return f"not allowed ({code})", ALLOW[scheme]
    if code == 404:
        return "not found (404)", "Check the address"
    if code == 301:
        return "it is elsewhere (301)", "Set AWS_REGION to the region of the bucket"
    return f"the server failed ({code})", f"Try later; {_GOES_ON}"
