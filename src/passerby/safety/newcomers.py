"""What is asked of a newcomer before the first session: age, and the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from passerby.errors import Code, ForbiddenError, RequiredError
from passerby.models import House
from passerby.safety.ages import AgeChecks, is_of_age

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.models import Guest
    from passerby.safety.devices import Device
    from passerby.safety.pages import Pages


class Admission(Struct, frozen=True):
    """What is kept in the session of who was asked."""

    is_of_age: bool | None = None
    rules: str | None = None


class UnderAgeError(ForbiddenError):
    """The guest is too young, or somebody in the same browser was."""

    def __init__(self) -> None:
        """It is not said what age would be enough."""
        super().__init__(Code.UNDER_AGE, "This place is not for you yet")


class Newcomers:
    """Asks newcomers, and describes the house to them."""

    def __init__(
        self,
        clock: Clock,
        pages: Pages,
        checks: AgeChecks | None,
        *,
        minimum: int,
        takes_reports: bool,
        report_window: float,
    ) -> None:
        """`minimum` is in years, 0: nobody is asked. `checks` are of a provider; None: the date of birth counts."""
        self._clock = clock
        self.pages = pages
        self.checks = checks
        self._minimum = minimum
        self._takes_reports = takes_reports
        self._report_window = report_window

    def house(self) -> House:
        """Return what is asked, and what there is to read."""
        return House(
            age_minimum=self._minimum,
            age_check=self.checks is not None and self._minimum > 0,
            rules=self._rules,
            pages=self.pages.names,
            reports=self._takes_reports,
            report_window=self._report_window if self._takes_reports else 0.0,
        )

    @property
    def _rules(self) -> str:
        page = self.pages.find("rules")
        return "" if page is None else page.version

    async def admit(
        self, device: Device, former: Guest | None, *, born_on: str | None, rules: str | None, age_proof: str | None
    ) -> Admission:
        """Return what is kept of a newcomer's answers; those of a former session in the same browser still count.

        Raises RequiredError (age_required, rules_required), UnderAgeError, and InvalidInputError.
        """
        unread = self._ask_age(device, former, born_on, age_proof) if self._minimum else None
        version = self._rules
        if version and (rules or (None if former is None else former.rules)) != version:
            raise RequiredError(Code.RULES_REQUIRED, "Read and accept the rules first")
        # At the end: a provider's answer counts once.
        if self.checks is not None and unread is not None and not await self.checks.result(unread):
            raise UnderAgeError
        return Admission(True if self._minimum else None, version or None)

    def _ask_age(self, device: Device, former: Guest | None, born_on: str | None, age_proof: str | None) -> str | None:
        """Return the answer of a provider, which is still to be read; None: the guest is of age."""
        if device.is_under_age:
            raise UnderAgeError
        if former is not None and former.is_of_age:
            return None
        if self.checks is not None:
            if age_proof is None:
                raise RequiredError(Code.AGE_REQUIRED, "Your age has to be checked first")
            return age_proof
        if born_on is None:
            raise RequiredError(Code.AGE_REQUIRED, "Say when you were born")
        if not is_of_age(born_on, self._minimum, self._clock.time()):
            raise UnderAgeError
        return None
