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
    is_encoded = text.startswith(b"%")
    plain = _decoded(text) if is_encoded else _unpacked(text)
    if not plain.startswith(_RECORD):
        raise NotARecord(
            "it is neither JSON (it would begin with {) nor XML (<), nor either of them URL-encoded"
            " or in base64"
        )
    return plain, is_encoded


def _decoded(text: bytes) -> bytes:
    # A switch writes a space as %20, and others as +; a + is %2B with both.
    return unquote_to_bytes(text.partition(b"&")[0].replace(b"+", b" ")).strip(_BLANK)


def _unpacked(text: bytes) -> bytes:
    packed = _SPACES.sub(b"", text).rstrip(b"=")
    try:
        return b64decode(packed + b"=" * (-len(packed) % 4), validate=True).strip(_BLANK)
    except binascii.Error:
        return b""
