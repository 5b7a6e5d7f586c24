"""Settings of servers under test, which one machine fills with guests who leave at once and say the same.

Nobody is told before such a server stops, or it would take as long.
"""

from typing import Final

NO_FRICTION: Final[dict[str, str | float]] = {
    "match_again": 0,
    "proof_of_work": "off",
    "new_device_seconds": 0,
    "repeat_partners": 0,
    "skip_partners": 0,
    "stop_notice": 0,
    "stop_patience": 0,
}
NO_FRICTION_IN_ENVIRONMENT: Final = {name.upper(): str(value) for name, value in NO_FRICTION.items()}
