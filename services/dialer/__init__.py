"""Places calls, and is the only one that changes anything on a switch.

Consumes `dialer.commands`; owns the table `commands`; publishes replies only: what becomes of a
call is told by the events service.
"""
