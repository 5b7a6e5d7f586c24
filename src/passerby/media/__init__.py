"""What bytes are, whatever they are called: kinds of files, pictures without their metadata, lengths of sound.

Parsers over streams, with no I/O: nothing here ever holds a whole file, and nothing is decoded.
"""
