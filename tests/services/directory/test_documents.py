"""The XML for FreeSWITCH, and the questions that it answers."""

from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest

from services.directory import documents
from services.directory.app import variables
from services.directory.documents import UnsafeValue
from services.directory.lookup import Lookup, read
from tests import recordings


def questions(scenario):
    """Return the forms that a real switch posted."""
    return [dict(parse_qsl(post["body"])) for post in recordings.posts(scenario, "directory")]


def test_a_real_registration_asks_for_its_user():
    """action=sip_auth and action=user_call ask for the same user of the same domain."""
    asked = questions("s14")

    assert [form["action"] for form in asked] == ["sip_auth", "user_call"]
    assert {read(form) for form in asked} == {Lookup("test.local", "1001")}


@pytest.mark.parametrize(
    "change",
    [
        {"section": "dialplan"},
        {"section": "configuration", "tag_name": "configuration", "key_value": "sofia.conf"},
        {"tag_name": ""},
        {"key_value": ""},
        {"key_value": "bad domain"},
        {"user": "10 01"},
        {"user": "1001\n"},
        {"user": "x\0"},
        {"key": "number-alias"},
    ],
)
def test_what_is_not_served_is_not_found(change):
    """Other sections, other keys, and names that no user can have."""
    assert read({**questions("s14")[0], **change}) is None


@pytest.mark.parametrize("purpose", ["gateways", "network-list", "publish-vm"])
def test_a_question_about_the_domain_gets_no_user(purpose):
    """Whatever else stands in it."""
    form = {**questions("s14")[0], "purpose": purpose}

    assert read(form) == Lookup("test.local", None)


def test_a_user_comes_with_a_hash_and_never_without_a_password():
    """FreeSWITCH lets in everybody for whom it finds no password."""
    document = documents.user_found(
        "test.local", "1001", a1_hash="0" * 32, variables=variables("1001")
    )
    root = ET.fromstring(document)  # noqa: S314  (our own)

    user = root.find("./section/domain/groups/group/users/user")
    assert user is not None
    params = {param.get("name"): param.get("value") for param in user.iter("param")}
    assert params == {"a1-hash": "0" * 32, "allow-empty-password": "false"}
    assert "type" not in user.attrib
    found = {v.get("name"): v.get("value") for v in user.iter("variable")}
    assert found["user_context"] == "default"
    assert found["accountcode"] == "1001"
    assert found["sip-force-contact"] == "NDLB-connectile-dysfunction"


def test_a_document_has_nothing_for_the_preprocessor():
    """No prolog, no directive, no `$${`; only the dial string that is ours holds a `$`."""
    for document in (
        documents.user_found("test.local", "1001", a1_hash="0" * 32, variables=variables("1001")),
        documents.domain_found("test.local"),
        documents.not_found(),
    ):
        assert b"<?" not in document
        assert b"$${" not in document
        assert b"X-PRE-PROCESS" not in document


@pytest.mark.parametrize("value", ["$${password}", "${system id}", "<X-PRE-PROCESS/>", "a\nb", '"'])
def test_a_value_that_could_mean_something_to_the_switch_is_refused(value):
    """Whichever way it got into the database."""
    with pytest.raises(UnsafeValue):
        documents.user_found("test.local", "1001", a1_hash="0" * 32, variables={"x": value})
    with pytest.raises(UnsafeValue):
        documents.user_found("test.local", value, a1_hash="0" * 32, variables={})
