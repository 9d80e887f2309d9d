"""Answers FreeSWITCH's mod_xml_curl, and keeps the users.

Consumes `directory.commands`; owns the table `users`; publishes replies only.
"""
