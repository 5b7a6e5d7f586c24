"""The programs that Passerby is compared with."""
