"""Accounts over REST: users, projects, tokens, sessions, the audit log."""
