"""The API commands, with the exact texts that a real switch answers."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from simulator import causes, fsctl, shows
from simulator.applications import Applications
from simulator.dial_string import MalformedDialString, parse_dial_string, parse_originate
from simulator.dialling import Dialler
from simulator.events import Origin, as_plain
from simulator.faults import Faults
from simulator.leg import Leg
from simulator.registry import Registry
from simulator.switch import Switch

_USAGE = (
    "-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>]"
    " [<cid_name>] [<cid_num>] [<timeout_sec>]\n"
)
_SIMULATOR_USAGE = (
    "-USAGE: simulator register|unregister <ext> | drop_links | pause [<seconds>] | resume\n"
)
_NO_CHANNEL = "-ERR No such channel!\n"
_EXECUTED = Origin("switch_loadable_module.c", "switch_api_execute", 3119)
_FLIP = Origin("switch_channel.c", "switch_channel_flip_cid", 3279)
_DUMP = Origin("mod_commands.c", "uuid_dump_function", 6436)

Answer = str | Awaitable[str]


class Api:
    """Answers API commands, whichever way they came."""

    def __init__(
        self,
        switch: Switch,
        dialler: Dialler,
        applications: Applications,
        registry: Registry,
        faults: Faults,
    ) -> None:
        self._switch = switch
        self._dialler = dialler
        self._applications = applications
        self._registry = registry
        self._faults = faults
        self._commands: dict[str, Callable[[str], Answer]] = {
            "originate": self._originate,
            "status": lambda _: shows.status(switch),
            "version": lambda _: shows.version(),
            "hostname": lambda _: switch.settings.switchname,
            "switchname": lambda _: switch.settings.switchname,
            "global_getvar": self._global_getvar,
            "create_uuid": lambda _: str(uuid.uuid4()),
            "uuid_exists": lambda rest: "true" if switch.live(rest) else "false",
            "uuid_kill": self._uuid_kill,
            "uuid_getvar": self._uuid_getvar,
            "uuid_setvar": self._uuid_setvar,
            "uuid_dump": self._uuid_dump,
            "hupall": self._hupall,
            "fsctl": lambda rest: fsctl.answer(switch, rest),
            "show": lambda rest: shows.show(switch, registry, rest),
            "sofia_contact": self._sofia_contact,
            "sofia": self._sofia,
            "xml_flush_cache": lambda _: "+OK cleared 0 entries\n",
            "reloadxml": lambda _: "+OK [Success]\n",
            "simulator": self._simulator,
        }

    async def execute(self, line: str) -> str:
        """Run one command and give its output; its API event bears the time of its start."""
        name, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        command = self._commands.get(name.lower())
        if command is None:
            return f"-ERR {name} Command not found!\n"
        headers = {"API-Command": name} | ({"API-Command-Argument": rest} if rest else {})
        event = self._switch.hub.begin("API", _EXECUTED, headers)
        answer = command(rest)
        text = answer if isinstance(answer, str) else await answer
        self._switch.hub.send(event)
        return text

    async def _originate(self, rest: str) -> str:
        command = parse_originate(rest)
        if command is None:
            return _USAGE
        outcome = await self._dialler.dial(
            command.call_url,
            command.timeout_seconds,
            caller_id=(command.caller_id_name, command.caller_id_number),
        )
        leg = outcome.leg
        if leg is None:
            if outcome.tried is None:
                self._switch.truth.refused(_variables(command.call_url), outcome.cause)
            return f"-ERR {outcome.cause}\n"
        self._flip(leg)
        if command.application is None:
            # There is no dialplan behind a simulated switch.
            self._switch.hang_up(leg, "NO_ROUTE_DESTINATION")
        else:
            # From here on the application's end winds the leg up, even if it never starts.
            leg.runs_application = True
            run = self._applications.run(leg, command.application, command.argument)
            self._switch.spawn(run)
        return f"+OK {leg.uuid}\n"

    def _flip(self, leg: Leg) -> None:
        leg.set(pre_transfer_caller_id_number=leg.profile.caller_id_number)
        if leg.profile.caller_id_name:
            leg.set(pre_transfer_caller_id_name=leg.profile.caller_id_name)
        leg.set(channel_cid_flipped="yes")
        leg.profile.flip()
        leg.hit_dialplan = True
        leg.touch()
        self._switch.update(leg, _FLIP, {"Direction": "RECV"})

    def _global_getvar(self, rest: str) -> str:
        values = {
            "core_uuid": self._switch.stamps.core_uuid,
            "domain": self._switch.settings.domain,
            "switchname": self._switch.settings.switchname,
            "hostname": self._switch.settings.switchname,
        }
        return values.get(rest, "")

    def _uuid_kill(self, rest: str) -> str:
        leg_uuid, _, cause = rest.partition(" ")
        leg = self._switch.live(leg_uuid)
        if leg is None:
            return _NO_CHANNEL
        self._switch.hang_up(leg, causes.parse(cause.strip()) or "NORMAL_CLEARING")
        return "+OK\n"

    def _uuid_getvar(self, rest: str) -> str:
        leg_uuid, _, name = rest.partition(" ")
        leg = self._switch.live(leg_uuid)
        if leg is None:
            return _NO_CHANNEL
        return leg.get(name.strip()) or "_undef_"

    def _uuid_setvar(self, rest: str) -> str:
        leg_uuid, _, assignment = rest.partition(" ")
        leg = self._switch.live(leg_uuid)
        if leg is None:
            return _NO_CHANNEL
        name, _, value = assignment.strip().partition(" ")
        if value:
            leg.set_all({name: value})
        else:
            leg.unset(name)
        return "+OK\n"

    def _uuid_dump(self, rest: str) -> str:
        leg_uuid, _, kind = rest.partition(" ")
        if not leg_uuid:
            return "-USAGE: <uuid> [format]\n"
        leg = self._switch.live(leg_uuid)
        if leg is None:
            return _NO_CHANNEL
        event = self._switch.hub.of_leg(leg, "CHANNEL_DATA", _DUMP)
        if kind.strip() == "json":
            return event.frame("json").partition(b"\n\n")[2].decode()
        return as_plain(event, encode=kind.strip() != "plain")

    def _hupall(self, rest: str) -> str:
        words = rest.split()
        cause = (causes.parse(words[0]) if words else None) or "MANAGER_REQUEST"
        pairs = list(zip(words[1::2], words[2::2], strict=False))
        # A variable without a value narrows nothing down: every leg is hung up.
        for leg in list(self._switch.legs.values()):
            if all(leg.get(name) == value for name, value in pairs):
                self._switch.hang_up(leg, cause)
        if not pairs:
            return f"+OK hangup all channels with cause {cause}\n"
        if len(pairs) == 1:
            name, value = pairs[0]
            return f"+OK hangup all channels matching [{name}]=[{value}] with cause: {cause}\n"
        shown = "".join(f"[{name}]=[{value}]" for name, value in pairs)
        return f"+OK hangup all channels matching {shown}... with cause: {cause}\n"

    def _sofia_contact(self, rest: str) -> str:
        extension = rest.rpartition("/")[2].partition("@")[0]
        if extension not in self._registry.rows:
            return "error/user_not_registered"
        return f"sofia/internal/sip:{self._registry.contact(extension)}"

    def _sofia(self, rest: str) -> str:
        match rest.split():
            case ["profile", _, "flush_inbound_reg", who, *_]:
                self._registry.flush(who)
                return "+OK flushing all registrations matching specified call_id\n"
            case ["profile", _, "flush_inbound_reg"]:
                self._registry.flush()
                return "+OK flushing all registrations\n"
            case ["profile", _, "rescan" | "start" | "restart" | "stop", *_]:
                return "+OK\n"
        return "-ERR Unknown command!\n"

    async def _simulator(self, rest: str) -> str:
        match rest.split():
            case ["register", extension]:
                if not await self._registry.register(extension):
                    return "-ERR not in the directory\n"
            case ["unregister", extension]:
                self._registry.unregister(extension)
            case ["drop_links"]:
                self._faults.drop_links()
            case ["pause"]:
                self._faults.ask_pause(None)
            case ["pause", seconds] if seconds.replace(".", "", 1).isdigit():
                self._faults.ask_pause(float(seconds))
            case ["resume"]:
                self._faults.resume()
            case _:
                return _SIMULATOR_USAGE
        return "+OK\n"


def _variables(call_url: str) -> dict[str, str]:
    """Give the variables that a dial string has for its first leg."""
    try:
        dialled = parse_dial_string(call_url)
    except MalformedDialString:
        return {}
    return {**(dialled.targets[0].variables if dialled.targets else {}), **dialled.variables}
