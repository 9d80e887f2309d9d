"""`fsctl`, as far as it keeps calls away from a switch."""

from __future__ import annotations

from simulator.switch import Switch

_USAGE = (
    "[api_expansion [on|off]|recover|send_sighup|hupall|pause [inbound|outbound]"
    "|resume [inbound|outbound]|shutdown [cancel|elegant|asap|now|restart]|uuid_version [4|7]|sps"
    "|sps_peak_reset|sync_clock|sync_clock_when_idle|reclaim_mem|max_sessions"
    "|min_dtmf_duration [num]|max_dtmf_duration [num]|default_dtmf_duration [num]|min_idle_cpu"
    "|loglevel [level]|debug_level [level]|mdns_resolve [enable|disable]]"
)


def answer(switch: Switch, rest: str) -> str:
    """Pause or resume the switch, or set how many legs it may have; the words are its own.

    Every leg of a simulated switch is outbound, so that to pause the inbound ones changes nothing.
    """
    said = "+OK\n"
    match rest.split():
        case ["pause" | "resume", "inbound", *_]:
            pass
        case ["pause" | "resume" as word, *_]:
            switch.paused = word == "pause"
        case ["pause_check", *_]:
            said = "true" if switch.paused else "false"
        case ["max_sessions", *count]:
            if count and count[0].isdigit() and int(count[0]):
                switch.max_sessions = int(count[0])
            said = f"+OK max sessions: {switch.max_sessions}\n"
        case []:
            said = f"-USAGE: {_USAGE}\n"
        case _:
            said = f"-ERR Invalid command\nUSAGE: fsctl {_USAGE}\n"
    return said
