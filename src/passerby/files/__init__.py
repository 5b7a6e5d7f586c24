"""Files and voice notes of a room: uploads, space, links, and where the bytes are kept."""
