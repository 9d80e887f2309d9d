"""What the switch tells of itself: status, version, and the rows of `show`."""

from __future__ import annotations

import orjson

from simulator.events import local_stamp, now
from simulator.leg import Leg
from simulator.registry import Registry
from simulator.switch import Switch

VERSION = "1.11.3-dev git cc93a68 2026-08-21 14:10:14Z 64bit"
SESSIONS_PER_SECOND = 500


def version() -> str:
    """Give the answer of `version`."""
    return "FreeSWITCH Version 1.11.3-dev+git~20260821T141014Z~cc93a68~64bit (simulated)\n"


def up_time(switch: Switch) -> str:
    """Give the time since the start in words."""
    rest = now() - switch.stamps.started
    words = []
    for unit, size in (
        ("year", 365 * 86_400_000_000),
        ("day", 86_400_000_000),
        ("hour", 3_600_000_000),
        ("minute", 60_000_000),
        ("second", 1_000_000),
        ("millisecond", 1000),
        ("microsecond", 1),
    ):
        count, rest = divmod(rest, size)
        words.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return ", ".join(words)


def status(switch: Switch) -> str:
    """Give the answer of `status`."""
    return (
        f"UP {up_time(switch)}\n"
        f"FreeSWITCH (Version {VERSION}) is ready\n"
        f"{switch.sessions} session(s) since startup\n"
        f"{len(switch.legs)} session(s) - peak {switch.peak}, last 5min {switch.peak} \n"
        f"0 session(s) per Sec out of max {SESSIONS_PER_SECOND}, peak 2, last 5min 2 \n"
        f"{switch.max_sessions} session(s) max\n"
        "min idle cpu 0.00/75.00\n"
        "Current Stack Size/Max 240K/8192K\n"
    )


def show(switch: Switch, registry: Registry, rest: str) -> str:
    """Give the answer of `show`; rows are always those of this moment."""
    words = rest.lower().split()
    what = words[0] if words else ""
    if what == "channels":
        rows = [_channel(switch, leg) for leg in switch.legs.values()]
    elif what == "calls":
        rows = _calls(switch)
    elif what == "registrations":
        rows = list(registry.rows.values())
    else:
        return "-USAGE: channels|calls|registrations [as json]\n"
    if words[1:2] == ["count"]:
        return _count(len(rows), as_json=words[-1] == "json")
    return _as_json(rows) if words[-2:] == ["as", "json"] else _as_csv(rows)


def _count(number: int, *, as_json: bool) -> str:
    return f'{{"row_count":{number},"rows":[]}}' if as_json else f"\n{number} total.\n"


def _as_json(rows: list[dict[str, str]]) -> str:
    # The two forms differ on a real switch too, down to the blank and the newline.
    if not rows:
        return '{"row_count": 0}\n'
    return orjson.dumps({"row_count": len(rows), "rows": rows}).decode()


def _as_csv(rows: list[dict[str, str]]) -> str:
    lines = [",".join(rows[0])] if rows else []
    lines += [",".join(row.values()) for row in rows]
    text = "".join(f"{line}\n" for line in lines)
    return f"{text}\n{len(rows)} total.\n"


def _basic(leg: Leg) -> dict[str, str]:
    profile = leg.profile
    second = profile.times.created // 1_000_000
    return {
        "uuid": leg.uuid,
        "direction": "outbound",
        "created": local_stamp(second),
        "created_epoch": str(second),
        "name": profile.channel_name,
        "state": leg.state,
        "cid_name": profile.caller_id_name,
        "cid_num": profile.caller_id_number,
        # The network is that of the leg's beginning: who dials is known, who is dialled is not yet.
        "ip_addr": leg.initial.network_addr,
        "dest": profile.destination,
        "presence_id": leg.presence_id,
        "presence_data": "",
        "accountcode": leg.get("accountcode"),
        "callstate": leg.call_state,
        "callee_name": profile.callee_id_name,
        "callee_num": profile.callee_id_number,
        "callee_direction": leg.callee_direction,
        "call_uuid": leg.call_uuid,
        "sent_callee_name": leg.get("last_sent_callee_id_name"),
        "sent_callee_num": leg.get("last_sent_callee_id_number"),
    }


def _channel(switch: Switch, leg: Leg) -> dict[str, str]:
    basic = _basic(leg)
    initial = leg.initial
    name, argument, _ = leg.application or ("", "", 0)
    codec, rate, bits = ("PCMU", "8000", "64000") if leg.has_media else ("", "", "")
    head = {column: basic[column] for column in list(basic)[:10]}
    return {
        **head,
        "application": name,
        "application_data": argument,
        "dialplan": "",
        "context": "default",
        "read_codec": codec,
        "read_rate": rate,
        "read_bit_rate": bits,
        "write_codec": codec,
        "write_rate": rate,
        "write_bit_rate": bits,
        "secure": "",
        "hostname": switch.settings.switchname,
        **{column: basic[column] for column in list(basic)[10:]},
        "initial_cid_name": initial.caller_id_name,
        "initial_cid_num": initial.caller_id_number,
        "initial_ip_addr": initial.network_addr,
        "initial_dest": initial.destination,
        "initial_dialplan": "",
        "initial_context": "default",
    }


def _calls(switch: Switch) -> list[dict[str, str]]:
    rows = []
    partners = {leg.get("bridge_to") for leg in switch.legs.values() if leg.originator}
    for leg in switch.legs.values():
        if leg.originator is not None and leg.get("bridge_to"):
            continue
        other = switch.legs.get(leg.get("bridge_to")) if leg.uuid in partners else None
        basic = _basic(leg)
        second = _basic(other) if other else dict.fromkeys(basic, "")
        del second["call_uuid"]
        columns = list(basic)
        sent = {column: basic.pop(column) for column in columns[-2:]}
        row = {**basic, "hostname": switch.settings.switchname, **sent}
        row |= {f"b_{column}": value for column, value in second.items()}
        bridged = str(leg.profile.times.bridged // 1_000_000) if other else ""
        rows.append({**row, "call_created_epoch": bridged})
    return rows
