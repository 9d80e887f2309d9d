"""The XML for FreeSWITCH, and the questions that it answers."""

from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.directory.documents import Documents, UnsafeValue
from services.directory.lookup import DomainLookup, GroupLookup, UserLookup, read
from services.directory.users import KnownUser
from shared.messages.users import LONGEST_TEXT, Text
from tests import recordings

SECRETS = {"a1-hash": "0" * 32}


def questions(scenario):
    """Return the forms that a real switch posted."""
    return [dict(parse_qsl(post["body"])) for post in recordings.posts(scenario, "directory")]


def known(**said):
    """Return a user."""
    fields = {"domain": "test.local", "extension": "1001", "password": "sealed", **said}
    return KnownUser(**fields)


def named(document, kind):
    """Return the user's parameters or variables, as an XML parser finds them."""
    user = ET.fromstring(document).find("./section/domain/groups/group/users/user")  # noqa: S314
    assert user is not None
    return {item.get("name"): item.get("value") for item in user.iter(kind)}


# -- what is asked ---------------------------------------------------------------------------


def test_a_real_registration_asks_for_its_user():
    """action=sip_auth and action=user_call ask for the same user of the same domain."""
    asked = questions("s14")

    assert [form["action"] for form in asked] == ["sip_auth", "user_call"]
    assert {read(form) for form in asked} == {UserLookup("test.local", "1001", "test.local")}


def test_the_realm_is_the_one_that_the_phone_s_digest_was_made_for():
    """A hash for another realm would fit no phone; only a registration names one."""
    form = {**questions("s14")[0], "sip_auth_realm": "192.0.2.10"}

    assert read(form) == UserLookup("test.local", "1001", "192.0.2.10")
    assert read({**form, "action": "user_call"}) == UserLookup("test.local", "1001", "test.local")


@pytest.mark.parametrize(
    "action",
    ["message-count", "voicemail-lookup", "jsonrpc-authenticate", "user_call", "of-tomorrow", ""],
)
def test_whoever_asks_for_a_user_gets_the_user(action):
    """Voicemail, browsers, `user_data`: the same document."""
    form = {**questions("s14")[1], "action": action}

    assert read(form) == UserLookup("test.local", "1001", "test.local")


def test_a_phone_that_challenges_the_switch_is_another_question():
    """Only its answer holds a password."""
    form = {**questions("s14")[1], "action": "reverse-auth-lookup"}

    assert read(form) == UserLookup("test.local", "1001", "test.local", reverse=True)


def test_a_group_is_asked_for_by_its_name():
    """`group_call` sends it twice, and the domain as well (freeswitch-facts 4.3)."""
    form = {**questions("s14")[1], "action": "group_call", "group": "sales"}
    form.pop("user")

    assert read(form) == GroupLookup("test.local", "sales")
    assert read({**form, "group_name": "support"}) == GroupLookup("test.local", "support")
    assert read({**form, "group": "no group"}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"section": "dialplan"},
        {"section": "channels", "tag_name": "", "purpose": "nightmare_xfer"},
        {"section": "configuration", "tag_name": "configuration", "key_value": "sofia.conf"},
        {"tag_name": ""},
        {"key_value": ""},
        {"key_value": "bad domain"},
        {"user": "10 01"},
        {"user": "1001\n"},
        {"user": "x\0"},
        {"user": "9" * 300},
        {"key": "number-alias"},
        {"action": "event_socket_auth"},
    ],
)
def test_what_is_not_served_is_not_found(change):
    """Other sections, other keys, names that no user can have, and a way to command the switch."""
    assert read({**questions("s14")[0], **change}) is None


@pytest.mark.parametrize("purpose", ["gateways", "network-list", "publish-vm"])
def test_a_question_about_the_domain_gets_no_user(purpose):
    """Whatever else stands in it."""
    form = {**questions("s14")[0], "purpose": purpose}

    assert read(form) == DomainLookup("test.local")


# -- what is answered ------------------------------------------------------------------------


def test_a_user_comes_with_a_hash_and_never_without_a_password():
    """FreeSWITCH lets in everybody for whom it finds no password."""
    document = Documents().user("test.local", known(), SECRETS)

    assert named(document, "param") == {**SECRETS, "allow-empty-password": "false"}
    assert b"type=" not in document.replace(b'type="freeswitch/xml"', b"")


def test_everything_of_the_notes_template_is_there():
    """What was not said goes by itself."""
    variables = named(Documents().user("test.local", known(), SECRETS), "variable")

    assert variables == {
        "toll_allow": "domestic,international,local",
        "accountcode": "1001",
        "user_context": "default",
        "effective_caller_id_name": "1001",
        "effective_caller_id_number": "1001",
        "callgroup": "default",
        "sip-force-contact": "NDLB-connectile-dysfunction",
    }


def test_what_was_said_of_a_user_wins():
    """And free variables are there beside the fields."""
    said = known(
        group="sales",
        display_name="Ann O'Brien & Söhne",
        outbound_caller_id_name="Sales",
        outbound_caller_id_number="+4930123456",
        toll_allow="local",
        accountcode="acme",
        user_context="agents",
        variables={"region": "north"},
    )
    document = Documents().user("test.local", said, SECRETS)
    variables = named(document, "variable")

    assert (
        variables
        | {
            "effective_caller_id_name": "Ann O'Brien & Söhne",
            "directory_full_name": "Ann O'Brien & Söhne",
            "outbound_caller_id_name": "Sales",
            "outbound_caller_id_number": "+4930123456",
            "toll_allow": "local",
            "accountcode": "acme",
            "user_context": "agents",
            "callgroup": "sales",
            "region": "north",
        }
        == variables
    )
    assert b'<group name="sales">' in document


def test_browsers_are_called_where_the_switch_can():
    """mod_verto's part of the dial string is there by setting only."""
    assert b"verto_contact" not in Documents().domain("test.local")
    assert b",${verto_contact(" in Documents(verto=True).domain("test.local")


def test_a_group_names_its_users_and_none_of_their_secrets():
    """`group_call` needs who they are; the dial string is the domain's."""
    root = ET.fromstring(Documents().group("test.local", "sales", ["1001", "1002"]))  # noqa: S314

    users = root.findall("./section/domain/groups/group[@name='sales']/users/user")
    assert [user.get("id") for user in users] == ["1001", "1002"]
    names = {param.get("name") for user in users for param in user.iter("param")}
    assert names == {"allow-empty-password"}


def test_a_document_has_nothing_for_the_preprocessor():
    """No prolog, no directive, no `$${`; only the dial string that is ours holds a `$`."""
    for document in (
        Documents().user("test.local", known(), SECRETS),
        Documents().domain("test.local"),
        Documents().not_found(),
    ):
        assert b"<?" not in document
        assert b"$${" not in document
        assert b"X-PRE-PROCESS" not in document


@pytest.mark.parametrize(
    "value",
    [
        "$${password}",
        "${system id}",
        "<X-PRE-PROCESS/>",
        "x-pre-process cmd='exec' data='id'",
        "<?xml",
        "a\nb",
        "\u2028",
        "\ud800",
        "\ufffe",
    ],
)
def test_a_value_that_could_mean_something_to_the_switch_is_refused(value):
    """Whichever way it got into the database."""
    with pytest.raises(UnsafeValue):
        Documents().user("test.local", known(variables={"x": value}), SECRETS)
    with pytest.raises(UnsafeValue):
        Documents().user("test.local", known(extension=value), SECRETS)
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(value)


@given(st.text(max_size=LONGEST_TEXT + 5))
def test_a_text_comes_out_of_an_xml_parser_as_it_went_in(text):
    """Or it does not go in at all."""
    try:
        TypeAdapter(Text).validate_python(text)
    except ValidationError:
        return
    user = known(
        display_name=text,
        effective_caller_id_name=text,
        outbound_caller_id_name=text,
        variables={"x": text},
    )
    document = Documents().user("test.local", user, SECRETS)
    variables = named(document, "variable")

    assert variables["x"] == text
    for name in ("directory_full_name", "outbound_caller_id_name"):
        assert variables.get(name, "") == text
    assert not any(sign in line for line in document.split(b"\n") for sign in (b"<?", b"$${"))
    assert b"x-pre-process" not in document.lower()
