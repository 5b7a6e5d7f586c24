"""What bytes are: real files, built here or made by other programs, whole, in pieces, cut short and damaged."""
