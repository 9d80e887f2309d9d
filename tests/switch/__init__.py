"""A real FreeSWITCH with the configuration of `freeswitch/`, and sipp for its phones."""
