"""A simulated FreeSWITCH: an ESL server, an xml_curl client, a json_cdr poster, and phones.

It is held to the recordings of a real switch by `tests/simulator/test_contract.py`.

`python -m simulator` reads these settings:

- `SIMULATOR_PASSWORD`: the ESL password; without it there is no start.
- `SIMULATOR_BIND`: host:port of ESL (127.0.0.1:8021). `SIMULATOR_SWITCHNAME`: its name (fs1).
- `SIMULATOR_DIRECTORY_URL`, `SIMULATOR_CDR_URL`: where lookups and CDRs are posted. Without the
  first every extension is known, without the second no CDR is posted.
- `VOICE_SWITCH_USER`, `VOICE_SWITCH_PASSWORD`: the Basic credentials of both.
- `SIMULATOR_CDR_ERROR_DIR`: where CDRs that could not be posted are kept.
- `VOICE_DOMAIN`, else `SIMULATOR_DOMAIN`: the SIP domain (test.local).
- `SIMULATOR_RING_MS` (200), `SIMULATOR_ANSWER_MS` (300): how long an agent's phone and a customer's
  ring before they answer or refuse. `SIMULATOR_TALK_MS`: when the customer hangs up (0: never).
- `SIMULATOR_HEARTBEAT_SECONDS` (20), `SIMULATOR_GATEWAYS` (carrier), `SIMULATOR_REGISTER`: a comma
  list of extensions that register at start.
- `SIMULATOR_TRUTH_FILE`: where it notes what really became of each call (`simulator/truth.py`), to
  check by what others tell of them. Without it nothing is noted.

The last three digits of a number or extension say what its phone does: 486 busy, 603 rejects, 480
is unavailable, 404 is unknown (an extension: not registered), 408 rings on, 183 has early media and
then answers, 901 to 909 answers and hangs up after so many seconds. All others answer and talk.

`api simulator register EXT | unregister EXT | drop_links | pause [SECONDS] | resume` does what no
real switch can be asked for.
"""
