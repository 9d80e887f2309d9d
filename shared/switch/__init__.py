"""FreeSWITCH's event socket: addresses, frames, dial strings and links. No decisions."""
