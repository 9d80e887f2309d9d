"""What can be said of a SIP user, and which values may reach a switch.

The values go into XML that FreeSWITCH reads with a preprocessor of its own (`$${…}`, lines with
`<?`, `X-PRE-PROCESS`), and from there into channel variables that are expanded (`${…}`). So no
value holds `<`, `>`, `$` or anything that is not printed, whichever way it came.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.messages.passwords import not_obvious

LONGEST_TEXT = 128
MOST_USERS = 10_000
DEFAULT_GROUP = "default"
_MOST_VARIABLES = 50

WORD = r"^[A-Za-z0-9_.-]+$"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

# Variables that have a field of their own, by which the product knows its calls, or whose value
# the switch carries out as a command.
_FIELDS = {
    "accountcode",
    "callgroup",
    "directory_full_name",
    "effective_caller_id_name",
    "effective_caller_id_number",
    "outbound_caller_id_name",
    "outbound_caller_id_number",
    "toll_allow",
    "user_context",
}
_OURS = {
    "agent_extension",
    "call_direction",
    "call_id",
    "crm_uuid",
    "customer_number",
    "domain_name",
    "leg_role",
    "origination_uuid",
    "product_code",
    "user_name",
}
# What FreeSWITCH takes from a variable to run an application, a command or a script, to send the
# call elsewhere, or to hand variables on: whatever has one of these words in its name.
_COMMANDS = {
    "api",
    "app",
    "bridge",
    "cdr",
    "confirm",
    "exec",
    "execute",
    "export",
    "fallback",
    "file",
    "hook",
    "import",
    "lua",
    "music",
    "on",
    "originate",
    "origination",
    "originator",
    "park",
    "playback",
    "record",
    "recording",
    "ringback",
    "script",
    "transfer",
}


def plain(text: str) -> str:
    """Return the text; raise `ValueError` where it means something to a switch, or is no line."""
    wrong = next((sign for sign in text if sign in "<>$" or not sign.isprintable()), None)
    if wrong is not None:
        raise ValueError(f"has {wrong!r} in it: plain text on one line, without < > and $")
    if "x-pre-process" in text.lower():
        # FreeSWITCH leaves out a line that holds it (switch_xml.c, preprocess).
        raise ValueError("has X-PRE-PROCESS in it, which a switch would take for itself")
    return text


def _secret(text: str) -> str:
    if "x-pre-process" in text.lower():
        raise ValueError("has X-PRE-PROCESS in it, which a switch would take for itself")
    return text


def _variable_name(name: str) -> str:
    if name.lower() in _FIELDS:
        raise ValueError(f"{name} is a field of its own")
    if name.lower() in _OURS or _COMMANDS.intersection(re.split("[_-]", name.lower())):
        raise ValueError(f"{name} is none that a user may have")
    return name


Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(plain)]
Word = Annotated[str, StringConstraints(pattern=WORD, max_length=64)]
Words = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.,-]*$", max_length=LONGEST_TEXT)]
CallerNumber = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{2,15}$")]
VoicemailPassword = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,16}$")]
VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"),
    AfterValidator(_variable_name),
]
UserExtension = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,8}$")]
SipDomain = Annotated[
    str, StringConstraints(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253, to_lower=True)
]
Password = Annotated[
    str,
    # The switch reads it in XML where a phone challenges it: no < > and $ here either.
    StringConstraints(min_length=12, max_length=128, pattern=r"^[!-#%-;=?-~]+$"),
    AfterValidator(_secret),
    AfterValidator(not_obvious),
]


class ShownFields(BaseModel):
    """All that is known of a user but who it is, and no secret.

    What is not given is as `docs/users.md` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    group: Word | None = None
    callgroup: Words | None = None
    display_name: Text | None = None
    effective_caller_id_name: Text | None = None
    effective_caller_id_number: CallerNumber | None = None
    outbound_caller_id_name: Text | None = None
    outbound_caller_id_number: CallerNumber | None = None
    toll_allow: Words | None = None
    accountcode: Word | None = None
    user_context: Word | None = None
    enabled: bool = True
    variables: Annotated[Mapping[VariableName, Text], Field(max_length=_MOST_VARIABLES)] = Field(
        default_factory=dict
    )


class UserFields(ShownFields):
    """All that can be said of a user."""

    voicemail_password: VoicemailPassword | None = None


class NewUser(UserFields):
    """A user to be created. Without a password we make one."""

    extension: UserExtension
    domain: SipDomain | None = None
    password: Password | None = None


def given(fields: BaseModel) -> dict[str, Any]:
    """Return what was said, without what was left out."""
    return fields.model_dump(mode="json", exclude_unset=True)
