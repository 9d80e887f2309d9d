"""A simulated FreeSWITCH: an ESL server, an xml_curl client, a json_cdr poster, and phones.

It is held to the recordings of a real switch by `tests/simulator/test_contract.py`.
"""
