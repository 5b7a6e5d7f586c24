"""Settings of servers under test, which one machine fills with guests who leave at once and say the same."""

from typing import Final

NO_FRICTION: Final[dict[str, str | float]] = {
    "match_again": 0,
    "proof_of_work": "off",
    "new_device_seconds": 0,
    "repeat_partners": 0,
    "skip_partners": 0,
}
NO_FRICTION_IN_ENVIRONMENT: Final = {name.upper(): str(value) for name, value in NO_FRICTION.items()}
