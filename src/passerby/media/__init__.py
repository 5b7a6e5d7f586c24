"""Detects file types by content, removes metadata from pictures, measures the duration of sound and video.

Streaming parsers without I/O: no file is ever held as a whole, and nothing is decoded.
"""
