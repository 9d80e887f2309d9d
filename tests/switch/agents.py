"""The directory of these tests: agents with passwords, as the directory service tells them."""

from urllib.parse import parse_qs

from tests.simulator.http_side import DIAL_STRING, NOT_FOUND, Post

DOMAIN = "test.local"
PASSWORD = "of-all-agents"
_USER = """<document type="freeswitch/xml"><section name="directory"><domain name="{domain}">
<params><param name="dial-string" value="{dial_string}"/></params>
<groups><group name="default"><users><user id="{user}">
<params><param name="password" value="{password}"/>
<param name="allow-empty-password" value="false"/></params>
<variables><variable name="user_context" value="default"/>
<variable name="effective_caller_id_number" value="{user}"/></variables>
</user></users></group></groups></domain></section></document>"""


def answer(post: Post) -> tuple[int, str]:
    """Answer a lookup: every user of four digits that begin with 1 exists, and nobody else."""
    user = parse_qs(post.body).get("user", [""])[0]
    if not (len(user) == 4 and user.isdigit() and user.startswith("1")):
        return 200, NOT_FOUND
    return 200, _USER.format(domain=DOMAIN, dial_string=DIAL_STRING, user=user, password=PASSWORD)
