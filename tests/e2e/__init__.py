"""The whole product: five processes, a RabbitMQ, a PostgreSQL and a switch, as users meet it.

On the simulated switch, or on a real one: with VOICE_SWITCHES in the environment that switch is
used, whose mod_xml_curl and mod_json_cdr must lead to VOICE_DIRECTORY_BIND and VOICE_CDR_BIND with
VOICE_SWITCH_USER and VOICE_SWITCH_PASSWORD. VOICE_TEST_CALLS then says whom to call,
`answered=1001:79990000005,busy=1001:79990000001,…` (the names are those of `calls.CALLS`), and
VOICE_TEST_PASSWORD with which password the phones of these extensions register. Scenarios that it
does not name, and those that need the simulated switch, are skipped.
"""
