"""The whole product: five processes, a RabbitMQ, a PostgreSQL and a switch, as users meet it.

On the simulated switch, or on a real one with phones of sipp, with the same calls (`calls.CALLS`):
VOICE_FREESWITCH_BIN is the path of a FreeSWITCH, which is started with the configuration of
`freeswitch/`; or VOICE_SWITCHES names one that runs (docs/switch.md says what else is needed then).
Tests that stop the switch are skipped on one that others have started.
"""
