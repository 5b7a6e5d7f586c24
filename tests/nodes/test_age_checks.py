"""Age checks at a provider, of several servers on one Valkey: as those of one."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.nodes.test_moving import running
from tests.safety.test_newcomers import SECRET, proof_of


async def test_what_a_provider_says_counts_once_on_all_nodes() -> None:
    async with running(2, age_minimum=18, age_url="https://age.example/", age_secret=SECRET) as nodes:
        first, second = nodes.all
        checks = first.application.services.newcomers.checks
        assert checks is not None
        proof = proof_of(checks.begin())
        answers = await asyncio.gather(
            *(node.http.post("/api/guest", headers={"Age-Proof": proof}) for node in (second, first) * 4)
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 400: 7}
        third = await nodes.start(age_minimum=18, age_url="https://age.example/", age_secret=SECRET)
        late = await third.http.post("/api/guest", headers={"Age-Proof": proof})
        assert late.json()["code"] == "proof_invalid"
