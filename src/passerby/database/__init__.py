"""The database of what is kept: reports, decisions, bans, moderators, audit. SQLite or PostgreSQL."""
