"""The heartbeat of the switch, and the schedule event that follows each."""

from __future__ import annotations

import asyncio

from simulator import shows
from simulator.events import Origin, now
from simulator.switch import Switch

_BEAT = Origin("switch_core.c", "send_heartbeat", 88)
_SCHEDULE = Origin("switch_scheduler.c", "switch_scheduler_execute", 71)


async def beat(switch: Switch) -> None:
    """Send heartbeats for ever."""
    period = switch.settings.heartbeat_seconds
    while period > 0:
        await asyncio.sleep(period)
        switch.hub.fire("HEARTBEAT", _BEAT, headers(switch))
        task = {
            "Task-ID": "1",
            "Task-Desc": "heartbeat",
            "Task-Group": "core",
            "Task-Runtime": str(now() // 1_000_000 + int(period)),
        }
        switch.hub.fire("RE_SCHEDULE", _SCHEDULE, task)


def headers(switch: Switch) -> dict[str, str]:
    """Give what a heartbeat tells of the switch."""
    legs, peak = str(len(switch.legs)), str(switch.peak)
    return {
        "Event-Info": "System Ready",
        "Up-Time": shows.up_time(switch),
        "FreeSWITCH-Version": shows.VERSION,
        "Uptime-msec": str((now() - switch.stamps.started) // 1000),
        "Session-Count": legs,
        "Max-Sessions": str(switch.max_sessions),
        # The sessions that may still start in this second; nothing is throttled here.
        "Session-Per-Sec": str(shows.SESSIONS_PER_SECOND),
        "Session-Per-Sec-Last": "0",
        "Session-Per-Sec-Max": peak,
        "Session-Per-Sec-FiveMin": peak,
        "Session-Since-Startup": str(switch.sessions),
        "Session-Peak-Max": peak,
        "Session-Peak-FiveMin": peak,
        "Idle-CPU": "75.000000",
    }
