"""Files and voice notes of a room: uploads, quotas, links, and storage."""
