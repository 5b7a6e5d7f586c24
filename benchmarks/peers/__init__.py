"""The bare relays that Passerby is measured against."""
