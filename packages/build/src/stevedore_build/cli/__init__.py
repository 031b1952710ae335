"""The program `ml-stevedore`: one module for each group of commands, and what they share.

Called by make, nox and people. Nothing else imports it.
"""
