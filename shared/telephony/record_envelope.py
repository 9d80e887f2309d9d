"""What a CDR module wraps around a record, taken off. Pure.

json_cdr, format_cdr and xml_cdr post the record as it is, or as a form of one field: `cdr=` and the
record plain, URL-encoded or in base64 (which is not URL-encoded again). A file that they spill
holds the same without `cdr=`. Content types are no help: a file has none, and libcurl sends a wrong
one where `disable-100-continue` is set. So a body is told by how it begins.
"""

import binascii
import re
from base64 import b64decode
from urllib.parse import unquote_to_bytes

_BLANK = b"\xef\xbb\xbf \t\r\n\0"  # a byte order mark, a file's last newline, a string's end
_FIELD = b"cdr="
_RECORD = (b"{", b"<")
_SPACES = re.compile(rb"\s+")


class NotARecord(ValueError):
    """The body is no CDR of a leg, and never will be."""


def unwrap(body: bytes) -> tuple[bytes, bool]:
    """Return a record's text, and whether it was URL-encoded; raise `NotARecord` for none."""
    text = body.strip(_BLANK)
    if text.startswith(_FIELD):
        text = text[len(_FIELD) :].strip(_BLANK)
    if not text:
        raise NotARecord("it is empty")
    if text.startswith(_RECORD):
        return text, False
    if text.startswith(b"%"):
        field = text.partition(b"&")[0].replace(b"+", b" ")
        return _begun(unquote_to_bytes(field), "URL-encoded"), True
    try:
        packed = _SPACES.sub(b"", text).rstrip(b"=")
        plain = b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise NotARecord(
            "it is neither JSON (it would begin with {) nor XML (<), nor either of them URL-encoded"
            " or in base64"
        ) from None
    return _begun(plain, "base64"), False


def _begun(text: bytes, how: str) -> bytes:
    text = text.strip(_BLANK)
    if not text.startswith(_RECORD):
        raise NotARecord(f"it is {how}, but of neither JSON ({{) nor XML (<)")
    return text
