"""mod_json_cdr's part: posting the CDR of a leg, or keeping it in a file."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from simulator.http_post import PostFailed, Sender, post
from simulator.settings import Settings

_log = logging.getLogger(__name__)
# The module's own default is to wait for ever; half a minute is as good as that in a test.
_TIMEOUT_SECONDS = 30.0


class CdrPoster:
    """Posts CDRs; the leg's end waits for it, as on a real switch."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.cdr_url
        self._error_dir = settings.cdr_error_dir
        self._sender = Sender(
            "freeswitch-json/1.0",
            "application/json",
            settings.http_user,
            settings.http_password,
        )

    @property
    def is_wanted(self) -> bool:
        """Whether CDRs go anywhere."""
        return self._url is not None

    async def post(self, leg_uuid: str, body: bytes) -> None:
        """Post one CDR; what cannot be posted is kept in the error directory."""
        if self._url is None:
            return
        try:
            url = f"{self._url}?uuid={leg_uuid}"
            status, _ = await post(self._sender, url, body, _TIMEOUT_SECONDS)
        except PostFailed as error:
            _log.warning("CDR of %s not posted: %s", leg_uuid, error)
        else:
            if 200 <= status <= 299:  # noqa: PLR2004 - success, in HTTP
                return
            _log.warning("CDR of %s refused with %d", leg_uuid, status)
        if self._error_dir is not None:
            name = Path(leg_uuid).name
            await asyncio.to_thread(_keep, self._error_dir / f"{name}.cdr.json", body)


def _keep(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + b"\n")
